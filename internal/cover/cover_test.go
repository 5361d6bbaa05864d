package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// measuredFiles are those of a profile with a file that is run enough, one that is not,
// and one without statements.
func measuredFiles(t *testing.T) []file {
	t.Helper()
	files, err := count([]byte(`mode: set
example.com/m/runtime/b/half.go:3.1,4.2 2 0
example.com/m/runtime/b/half.go:5.1,9.2 3 1
example.com/m/runtime/a/most.go:3.1,4.2 17 1
example.com/m/runtime/a/most.go:5.1,9.2 3 0
example.com/m/runtime/b/none.go:1.1,1.2 0 0
`), "example.com/m/")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestShow(t *testing.T) {
	var out strings.Builder
	show(&out, measuredFiles(t), map[string]string{})
	const want = `     run  statements  package
  85.0 %          20  runtime/a
  60.0 %           5  runtime/b
  80.0 %          25  all

Less than 85 % is run of:
  runtime/b/half.go, 60.0 % of 5: no reason
`
	if out.String() != want {
		t.Errorf("it prints\n%s\nwant\n%s", &out, want)
	}
}

func TestEachFileBelowNeedsAReasonAndNoOther(t *testing.T) {
	for name, test := range map[string]struct {
		reasons string
		want    []string // parts of the errors
	}{
		"right":              {"# a comment\n\nruntime/b/half.go: its other half is for Windows\n", nil},
		"no reason":          {"", []string{"60.0 % of runtime/b/half.go"}},
		"one that is tested": {"runtime/b/half.go: x\nruntime/a/most.go: x\n", []string{"runtime/a/most.go needs no reason"}},
		"one that is away":   {"runtime/b/half.go: x\nruntime/gone.go: x\n", []string{"runtime/gone.go needs no reason"}},
		"an empty reason":    {"runtime/b/half.go:\n", []string{reasonsFile + ":1: want FILE: REASON"}},
		"two":                {"runtime/b/half.go: x\nruntime/b/half.go: y\n", []string{reasonsFile + ":2: want FILE: REASON"}},
	} {
		t.Run(name, func(t *testing.T) {
			reasons, err := parseReasons(test.reasons)
			if err == nil {
				err = check(measuredFiles(t), reasons)
			}
			if (err == nil) != (len(test.want) == 0) {
				t.Fatalf("the error is %v, want one with %q", err, test.want)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("the error is %v, want one line with %q", err, want)
				}
			}
		})
	}
}

// TestReasonsAreOfFilesThatExist, so that make cover, which takes minutes, is not the first
// to notice.
func TestReasonsAreOfFilesThatExist(t *testing.T) {
	const root = "../.."
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(reasonsFile)))
	if err != nil {
		t.Fatal(err)
	}
	reasons, err := parseReasons(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for name := range reasons {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(name))); err != nil {
			t.Errorf("%s: %v", reasonsFile, err)
		}
	}
}
