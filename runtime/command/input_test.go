package command

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// all reads an input to its end or to the first error.
func all(in *input, descriptor protoreflect.MessageDescriptor) ([]proto.Message, error) {
	var messages []proto.Message
	for {
		message := dynamicpb.NewMessage(descriptor)
		switch err := in.next(message); {
		case err == io.EOF:
			return messages, nil
		case err != nil:
			return messages, err
		}
		messages = append(messages, message)
	}
}

func TestInputIsOneValueAfterTheOther(t *testing.T) {
	address := descriptorOf(t, "every.proto", "Address")
	count := new(wrapperspb.Int64Value).ProtoReflect().Descriptor()
	for _, test := range []struct {
		text       string
		descriptor protoreflect.MessageDescriptor
		want       []string
	}{
		{"", address, nil},
		{" \n\r\n\t", address, nil},
		{`{}`, address, []string{`{}`}},
		{`{"city": "Rome"}` + "\n" + `{"city": "Köln"}` + "\n", address, []string{`{"city": "Rome"}`, `{"city": "Köln"}`}},
		{"\r\n{\"city\":\r\n\t\"Rome\"\r\n}\r\n\r\n{}", address, []string{`{"city": "Rome"}`, `{}`}},
		{`{}{"city":"}{"}{"next":{"next":{}}}`, address, []string{`{}`, `{"city":"}{"}`, `{"next":{"next":{}}}`}},
		{"1 2\n\"3\"4", count, []string{"1", "2", "3", "4"}},
		{"\ufeff", address, nil},
		{"\ufeff{\"city\": \"Rome\"}\n{}", address, []string{`{"city": "Rome"}`, `{}`}},
	} {
		t.Run(test.text, func(t *testing.T) {
			for name, text := range map[string]io.Reader{"at once": strings.NewReader(test.text), "a byte at a time": iotest.OneByteReader(strings.NewReader(test.text))} {
				got, err := all(newInput(text), test.descriptor)
				if err != nil || len(got) != len(test.want) {
					t.Fatalf("%s: it reads %d messages, error %v, want %d", name, len(got), err, len(test.want))
				}
				for i, want := range test.want {
					if !proto.Equal(got[i], messageOf(t, test.descriptor, want)) {
						t.Errorf("%s: message %d is %s, want %s", name, i+1, protojson.Format(got[i]), want)
					}
				}
			}
		})
	}
}

func TestErrorsOfInputHaveAPosition(t *testing.T) {
	address, old := descriptorOf(t, "every.proto", "Address"), descriptorOf(t, "old.proto", "Old")
	for _, test := range []struct {
		text       string
		descriptor protoreflect.MessageDescriptor
		before     int // how many messages come before it
		want       string
	}{
		{`x`, address, 0, "line 1, column 1: invalid character 'x' looking for beginning of value"},
		{"{}\n{\"city\":\n  x}\n{}", address, 1, "line 3, column 3: invalid character 'x' looking for beginning of value"},
		{`{"city": "Köln"} {"größe" 1}`, address, 1, "line 1, column 27: invalid character '1' after object key"},
		{`{},{}`, address, 1, "line 1, column 3: invalid character ',' looking for beginning of value"},
		{"{}\n{}]", address, 2, "line 2, column 3: invalid character ']' looking for beginning of value"},
		{"{\"city\": \"Ro\nme\"}", address, 0, `line 1, column 13: invalid character '\n' in string literal`},
		{`{}{"city": "Rome"`, address, 1, "line 1, column 18: unexpected end of JSON input"},
		{"{}\n{\n", address, 1, "line 3, column 1: unexpected end of JSON input"},

		{"\ufeff{\"town\": 1}", address, 0, `line 1, column 2: unknown field "town"`},
		{"{}\ufeff{}", address, 1, "line 1, column 3: invalid character 'ï' looking for beginning of value"},
		{"\xff\xfe{\x00}\x00", address, 0, "the text is UTF-16, and must be UTF-8: convert it, for example by iconv -f UTF-16 -t UTF-8"},
		{"\xfe\xff\x00{\x00}", address, 0, "the text is UTF-16, and must be UTF-8: convert it, for example by iconv -f UTF-16 -t UTF-8"},
		{"{\x00}\x00", address, 0, "the text is UTF-16, and must be UTF-8: convert it, for example by iconv -f UTF-16 -t UTF-8"},
		{"\x00{\x00}", address, 0, "the text is UTF-16, and must be UTF-8: convert it, for example by iconv -f UTF-16 -t UTF-8"},
		{"\xff", address, 0, "line 1, column 1: invalid character 'ÿ' looking for beginning of value"},
		{"{} {\"city\": \"a\\ud83db\"}", address, 1, `line 1, column 15: \ud83d is half of a surrogate pair, and no character`},

		{`{"town": 1}`, address, 0, `line 1, column 2: unknown field "town"`},
		{"{}\n\n  {\"city\": \"Köln\", \"town\": 1}", address, 1, `line 3, column 20: unknown field "town"`},
		{"{} {\"city\": \"Köln\",\n \"town\": 1}", address, 1, `line 2, column 2: unknown field "town"`},
		{`{"city": "ä"}{"city": 5}`, address, 1, `line 1, column 23: invalid value for string field city: 5`},
		{"{}\n null", address, 1, "line 2, column 2: unexpected token null"},
		{"{}\n[{}]", address, 1, "line 2, column 1: unexpected token ["},
		{"{} {\"city\": \"\xff\"}", address, 1, "line 1, column 13: invalid UTF-8 in string"},

		{"{\"name\": \"a\"}\n\n  {\"number\": 1}", old, 1, "line 3, column 3: required field old.Old.name not set"},
		{`{"name": "a"}{"name": "b", "part": {}}`, old, 1, "line 1, column 14: required field old.Part.id not set"},
	} {
		t.Run(test.text, func(t *testing.T) {
			for name, text := range map[string]io.Reader{"at once": strings.NewReader(test.text), "a byte at a time": iotest.OneByteReader(strings.NewReader(test.text))} {
				got, err := all(newInput(text), test.descriptor)
				if fmt.Sprint(err) != "standard input: "+test.want || len(got) != test.before {
					t.Errorf("%s: the error is\n%v, want\n%s, after %d messages, want %d", name, err, test.want, len(got), test.before)
				}
			}
		})
	}
}

func TestInputThatFails(t *testing.T) {
	broken := errors.New("input/output error")
	got, err := all(newInput(io.MultiReader(strings.NewReader("{} {"), iotest.ErrReader(broken))), descriptorOf(t, "every.proto", "Address"))
	if !errors.Is(err, broken) || err.Error() != "standard input: input/output error" || len(got) != 1 {
		t.Errorf("the error is %v after %d messages", err, len(got))
	}
}

// A value is read as soon as it is typed to its end.
func TestInputIsReadAsItComes(t *testing.T) {
	reader, writer := io.Pipe()
	defer writer.Close()
	in := newInput(reader)
	for _, text := range []string{`{"city": "Rome"}`, "\n{\n}", `{}`} {
		go io.WriteString(writer, text)
		if err := in.next(dynamicpb.NewMessage(descriptorOf(t, "every.proto", "Address"))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLongInputIsNotKept(t *testing.T) {
	const size = 2 << 20
	text := strings.Repeat(`{"city": "Rome"}`+"\n", size/17)
	in := newInput(strings.NewReader(text))
	got, err := all(in, descriptorOf(t, "every.proto", "Address"))
	if err != nil || len(got) != size/17 {
		t.Fatalf("it reads %d messages, error %v", len(got), err)
	}
	if kept := in.ahead.Cap(); kept > 1<<16 {
		t.Errorf("%d bytes are kept", kept)
	}
	if in.line != size/17 || in.column != 1 {
		t.Errorf("the last value is at line %d, column %d", in.line, in.column)
	}
}
