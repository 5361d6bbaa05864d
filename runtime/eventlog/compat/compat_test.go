package compat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	_ "google.golang.org/protobuf/types/gofeaturespb"
	_ "google.golang.org/protobuf/types/known/timestamppb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/compat"
)

// tried is a change in one syntax.
type tried struct {
	change
	syntax string
	file   string // its name, and that of its package
}

// header returns the lines with which a proto in a syntax begins.
func (c tried) header() string {
	syntax := map[string]string{"2": `syntax = "proto2";`, "3": `syntax = "proto3";`, "e": `edition = "2023";`}[c.syntax]
	return syntax + "\npackage " + c.file + ";\n"
}

// proto returns a proto in the syntax of the change.
func (c tried) proto(text string) string {
	optional, quote := "", `"`
	if c.syntax == "2" {
		optional = "optional "
	}
	if c.syntax == "e" {
		quote = "" // around reserved names
	}
	return c.header() + strings.NewReplacer("~", optional, "@", quote).Replace(text) + "\n"
}

// all returns the changes in all their syntaxes.
func all() (all []tried) {
	for i, change := range changes {
		for _, syntax := range []string{"2", "3", "e"} {
			if change.in == "" || strings.Contains(change.in, syntax) {
				all = append(all, tried{change, syntax, fmt.Sprintf("c%02d_%s", i, syntax)})
			}
		}
	}
	return all
}

func compile(t *testing.T, text string) protoreflect.MessageDescriptor {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"event.proto": text}),
	})}
	files, err := compiler.Compile(context.Background(), "event.proto")
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	file, err := protodesc.NewFile(protodesc.ToFileDescriptorProto(files[0]), protoregistry.GlobalFiles) // as a log has it
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().ByName("Event")
}

// TestChanges compares the types of each change, and reads an event of the one as the other:
// so a verdict is not what a rule says, but what happens.
func TestChanges(t *testing.T) {
	for _, c := range all() {
		t.Run(c.name+" "+c.syntax, func(t *testing.T) {
			was, is := compile(t, c.proto(c.was)), compile(t, c.proto(c.is))
			stored := dynamicpb.NewMessage(was)
			if err := prototext.Unmarshal([]byte(c.event), stored); err != nil {
				t.Fatal(err)
			}
			findings := compat.Compare(was, is)
			wire, inJSON, affected := safe, safe, false
			for _, finding := range findings {
				if finding.Wire == misreads {
					wire = misreads
					affected = affected || finding.Affects(stored)
				}
				if finding.JSON == misreads {
					inJSON = misreads
				}
				if text := finding.Text(""); strings.Contains(text, "  ") || !strings.Contains(text, " was ") {
					t.Errorf("it is described as %q", text)
				}
			}
			if wire != c.wire || inJSON != c.json {
				t.Errorf("on the wire it is %s (want %s), in JSON %s (want %s), by %s", wire, c.wire, inJSON, c.json, texts(findings))
			}
			read := readWire(t, stored, is)
			if want := c.expected(t, is); read != want {
				t.Errorf("%s is read as %s, want %s", c.event, read, want)
			}
			// What no program in this syntax has stored is not affected, whatever the type.
			if unusual := strings.Contains(c.name, "reserved") || strings.Contains(c.name, "extensions"); affected != (c.wire == misreads) && !unusual {
				t.Errorf("the event is affected: %v, by %s", affected, texts(findings))
			}
			c.readJSON(t, stored, is)
			for _, finding := range findings {
				lacks := strings.Contains(finding.Why, "without it") || finding.Was == "PENDING" && c.implicit()
				if finding.Affects(dynamicpb.NewMessage(was)) != lacks {
					t.Errorf("an event without anything is affected: %v, by %q", !lacks, finding.Text(""))
				}
			}
			if findings := compat.Compare(was, compile(t, c.proto(c.was))); len(findings) > 0 {
				t.Errorf("without a change there is %q", texts(findings))
			}
		})
	}
}

// implicit reports whether the event itself has a field of an enum that is not stored if its
// value is 0.
func (c tried) implicit() bool {
	field := strings.Contains(c.was, "IMPLICIT") || c.syntax == "3" && !strings.Contains(c.was, "optional")
	return field && !strings.Contains(c.was, "repeated")
}

func texts(findings []compat.Finding) (texts []string) {
	for _, finding := range findings {
		texts = append(texts, finding.Text(""))
	}
	return texts
}

// readWire reads a stored message as another type, and returns it in the text format.
func readWire(t *testing.T, stored proto.Message, is protoreflect.MessageDescriptor) string {
	t.Helper()
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(stored)
	if err != nil {
		t.Fatal(err)
	}
	read := dynamicpb.NewMessage(is)
	if err := proto.Unmarshal(data, read); err != nil {
		return "error"
	}
	return format(read)
}

// format returns a message in the text format, always in the same form.
func format(message proto.Message) string {
	text, err := prototext.MarshalOptions{AllowPartial: true}.Marshal(message)
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

// expected returns what the event is to be read as, in the form of format.
func (c tried) expected(t *testing.T, is protoreflect.MessageDescriptor) string {
	t.Helper()
	if c.reads == "error" {
		return c.reads
	}
	text := c.reads
	if text == "" {
		text = c.event
	}
	want := dynamicpb.NewMessage(is)
	if err := prototext.Unmarshal([]byte(text), want); err != nil {
		t.Fatal(err)
	}
	return format(want)
}

// readJSON tests what the verdict on JSON says.
func (c tried) readJSON(t *testing.T, stored proto.Message, is protoreflect.MessageDescriptor) {
	t.Helper()
	text, err := protojson.Marshal(stored)
	if err != nil {
		t.Fatal(err)
	}
	read := dynamicpb.NewMessage(is)
	err = protojson.UnmarshalOptions{DiscardUnknown: c.json == safe}.Unmarshal(text, read)
	if c.json == safe && err != nil {
		t.Errorf("%s is not read: %v", text, err)
	}
	if again, errAgain := protojson.Marshal(read); c.json == misreads && err == nil && errAgain == nil && string(again) == string(text) &&
		!strings.Contains(c.name, "reserved") && c.wire == safe {
		t.Errorf("%s is read as what it was", text)
	}
}

// TestVerdictsOfBuf tests that the verdicts of "buf breaking" by WIRE_JSON are as the table
// has them, and that it says why where ours are not the same.
func TestVerdictsOfBuf(t *testing.T) {
	buf := findBuf(t)
	was, is := t.TempDir(), t.TempDir()
	for _, c := range all() {
		write(t, filepath.Join(was, c.file, "event.proto"), c.proto(c.was))
		write(t, filepath.Join(is, c.file, "event.proto"), c.proto(c.is))
		if differs := (c.wire == misreads || c.json == misreads) != c.buf; differs != (c.why != "") {
			t.Errorf("%s: our verdict differs from that of buf: %v, and the table says %q", c.name, differs, c.why)
		}
	}
	command := exec.Command(buf, "breaking", is, "--against", was, "--error-format", "json", "--config", `{"version":"v2","breaking":{"use":["WIRE_JSON"]}}`)
	command.Env = append(os.Environ(), "HOME="+t.TempDir())
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output() // the error of one that finds something, too
	if err != nil && len(out) == 0 {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	broken := map[string]string{}
	for line := range strings.Lines(string(out)) {
		var refusal struct{ Path, Type string }
		if err := json.Unmarshal([]byte(line), &refusal); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		file := filepath.Base(filepath.Dir(refusal.Path))
		broken[file] += refusal.Type + " "
	}
	for _, c := range all() {
		if _, refused := broken[c.file]; refused != c.buf {
			t.Errorf("%s %s: buf refuses it: %v (%s), and the table says %v", c.name, c.syntax, refused, broken[c.file], c.buf)
		}
	}
}

// findBuf returns the path of buf. Without it the test fails in CI, and is skipped elsewhere.
func findBuf(t *testing.T) string {
	t.Helper()
	if path, err := filepath.Abs("../../../.tools/bin/buf"); err == nil {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	path, err := exec.LookPath("buf")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("buf is missing: make tools")
		}
		t.Skip("buf is missing: make tools")
	}
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestFortyChanges keeps the table as large as it promises to be, in each syntax.
func TestFortyChanges(t *testing.T) {
	for _, syntax := range []string{"2", "3", "e"} {
		count := len(slices.DeleteFunc(all(), func(c tried) bool { return c.syntax != syntax }))
		if count < 40 {
			t.Errorf("%d changes are tried in syntax %s, want 40 or more", count, syntax)
		}
	}
}
