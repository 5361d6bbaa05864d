package compat_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/compat"
)

// TestTextKeepsWhatAMessageWas: a type that is read from its text is the one that was kept,
// also with what its options say of its encoding, and the text is that of the repository
// until the type changes.
func TestTextKeepsWhatAMessageWas(t *testing.T) {
	for _, c := range all() {
		was := compile(t, c.proto(c.was))
		text, err := compat.Text(was)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := compat.Parse(text)
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if findings := compat.Compare(was, kept); len(findings) > 0 {
			t.Errorf("%s: what was kept differs: %q", c.name, texts(findings))
		}
		if again, err := compat.Text(kept); err != nil || again != text {
			t.Errorf("%s: the text changes from %s to %s (%v)", c.name, text, again, err)
		}
		if strings.Contains(text, "`") {
			t.Errorf("a Go literal can't have %s", text)
		}
	}
}

// TestTextHasALineForEachField: so the diff of a change is the line of what changed.
func TestTextHasALineForEachField(t *testing.T) {
	text, err := compat.Text(compile(t, "syntax = \"proto2\";\npackage shop;\nmessage Event { optional string a = 1 [default = \"`,{\\\"name\\\":\"]; optional int32 b = 2; }\n"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 7 || lines[0] != "shop.Event" || !strings.HasPrefix(lines[4], `{"name":"a","number":1,`) || !strings.HasPrefix(lines[5], `{"name":"b","number":2,`) {
		t.Errorf("the text is %s", text)
	}
	if _, err := compat.Parse(text); err != nil {
		t.Error(err)
	}
}

func TestTextThatIsBrokenIsReported(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "the files of  can't be read",
		"shop.Event{\"file\":[":     "the files of shop.Event can't be read",
		"shop.Event\n{\"file\":[]}": "it does not declare shop.Event",
	} {
		if _, err := compat.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: the error is %v, want %s", text, err, want)
		}
	}
}

// TestTextLeavesOutWhatLanguagesSay: another API of the Go code makes no other version, and
// programs without these extensions read the text.
func TestTextLeavesOutWhatLanguagesSay(t *testing.T) {
	const text = "edition = \"2023\";\npackage shop;\n%smessage Event { int32 a = 1; }\n"
	plain, err := compat.Text(compile(t, fmt.Sprintf(text, "")))
	if err != nil {
		t.Fatal(err)
	}
	opaque, err := compat.Text(compile(t, fmt.Sprintf(text, "import \"google/protobuf/go_features.proto\";\noption features.(pb.go).api_level = API_OPAQUE;\n")))
	if err != nil || opaque != plain {
		t.Errorf("the text is %s (%v), want %s", opaque, err, plain)
	}
}
