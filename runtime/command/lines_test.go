package command

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

func readLines(text string, csv bool) (all []string) {
	reader := newLineReader(strings.NewReader(text), csv)
	if err := reader.begin(); err != nil {
		return []string{err.Error()}
	}
	for {
		l, err := reader.next()
		switch {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			return append(all, err.Error())
		case l.err != nil:
			all = append(all, fmt.Sprintf("%d: error: %v", l.number, l.err))
		case csv:
			all = append(all, fmt.Sprintf("%d-%d: %q", l.number, l.end, l.cells))
		default:
			all = append(all, fmt.Sprintf("%d-%d: %s", l.number, l.end, l.text))
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLine+1)
	for _, test := range []struct {
		name, text string
		csv        bool
		want       []string
	}{
		{"nothing", "", false, nil},
		{"ends", "a\nb\r\n\n \t\nc", false, []string{"1-2: a", "2-5: b", "5-10: c"}},
		{"mark", "\ufeffa\n", false, []string{"1-5: a"}},
		{"UTF-16", "\xff\xfea\x00", false, []string{errUTF16.Error()}},
		{"not UTF-8", "a\nżó\xffx\nb\n", false, []string{"1-2: a", "2: error: column 3: the text is not valid UTF-8", "3-11: b"}},
		{"long", "a\n" + long + "\nb", false, []string{"1-2: a", "2: error: the line has more than 8 MiB", "3-8388613: b"}},
		{"records", "a,b\n1,\"x, \"\"y\"\"\nz\"\n\n2,\n", true, []string{`1-4: ["a" "b"]`, `2-19: ["1" "x, \"y\"\nz"]`, `5-23: ["2" ""]`}},
		{"open quote", "a\n\"b\nc\nd\n", true, []string{`1-2: ["a"]`, `2: error: a cell that begins with " must end with ", and have "" for each " in it`, `3-7: ["c"]`, `4-9: ["d"]`}},
		{"quotes closed and open", "\"a\n\"b\nc\n", true, []string{`1: error: a cell that begins with " must end with ", and have "" for each " in it`, `2: error: a cell that begins with " must end with ", and have "" for each " in it`, `3-8: ["c"]`}},
		{"bare quote", "5\" pipe,x\nc\n", true, []string{`1: error: character 2: a " is in a cell that does not begin with one`, `2-12: ["c"]`}},
	} {
		if got := readLines(test.text, test.csv); !slices.Equal(got, test.want) {
			t.Errorf("%s:\n%q, want\n%q", test.name, got, test.want)
		}
	}
}

// A quote that is never closed is not looked for once more after each line.
func TestAnOpenQuoteTakesLittleMemory(t *testing.T) {
	const lines = 20_000
	text := "\"b\n" + strings.Repeat("0123456789abcdef\n", lines)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := readLines(text, true)
	runtime.ReadMemStats(&after)
	if len(got) != lines+1 {
		t.Errorf("it has %d lines", len(got))
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 100<<20 {
		t.Errorf("reading %d bytes takes %d MiB", len(text), took>>20)
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want string }{
		{"response_size,payload.body,fillUsername\n7,YQ==,true\n", "response_size:7 payload:{body:\"a\"} fill_username:true"},
		{"responseSize,payload.body\n,\n", ""},
		{"response_type\nRANDOM\n", "error: line 2: column 1 (response_type): \"RANDOM\" is not a value of PayloadType; the values are: COMPRESSABLE"},
		{"response_size,fill_username\n1,maybe\n", "error: line 2: column 2 (fill_username): \"maybe\" is not a valid bool"},
		{"response_size,fill_username\n1\n", "error: line 2: it has 1 columns, and the header 2"},
		{"response_size,size\n1,2\n", "error: header: column 2: grpc.testing.SimpleRequest has no field \"size\"; it has response_type,"},
		{"payload.body.x\n1\n", "error: header: column 1: grpc.testing.Payload.body has no fields"},
		{"response_size,responseSize\n1,2\n", "error: header: column 2: responseSize is there twice"},
	} {
		reader := newLineReader(strings.NewReader(test.text), true)
		header, err := reader.next()
		if err != nil {
			t.Fatal(err)
		}
		var request testpb.SimpleRequest
		columns, err := columnsOf(request.ProtoReflect().Descriptor(), header.cells)
		got := ""
		if err != nil {
			got = "error: header: " + err.Error()
		} else if l, err := reader.next(); err != nil {
			t.Fatal(err)
		} else if err := fillFrom(&request, columns, l.cells); err != nil {
			got = fmt.Sprintf("error: line %d: %v", l.number, err)
		}
		want := test.want
		if !strings.HasPrefix(want, "error") {
			var message testpb.SimpleRequest
			if err := prototext.Unmarshal([]byte(want), &message); err != nil {
				t.Fatal(err)
			}
			if got == "" && !proto.Equal(&request, &message) {
				got = request.String()
			} else if got == "" {
				want = ""
			}
		}
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%q is %s, want %s", test.text, got, want)
		}
	}
}

func FuzzLines(f *testing.F) {
	for _, seed := range []string{"a,b\n\"x\ny\",2\n", "\"\n\"\"\n", "\ufeff\r\n", "{}\n\xff\n"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	// Whatever a file has, each byte of it belongs to one line, and reading ends.
	f.Fuzz(func(t *testing.T, text string, csv bool) {
		reader := newLineReader(strings.NewReader(text), csv)
		if reader.begin() != nil {
			return
		}
		end, number := int64(0), int64(0)
		for {
			l, err := reader.next()
			if err != nil {
				break
			}
			if l.end <= end || l.number <= number || l.end > int64(len(text)) {
				t.Fatalf("line %d ends at %d after line %d at %d of %q", l.number, l.end, number, end, text)
			}
			end, number = l.end, l.number
		}
		if rest := strings.TrimSpace(text[end:]); rest != "" && rest != byteOrderMark {
			t.Errorf("%q is not read of %q", rest, text)
		}
	})
}
