package english

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golangci/misspell"
)

// TestSpelling checks the text of the repository, except tests, for words that are often
// misspelt.
func TestSpelling(t *testing.T) {
	speller := misspell.New()
	if _, found := speller.Replace("It is acknowleged, and recieved seperately."); len(found) != 3 {
		t.Fatalf("it finds %v in a text with three misspelt words", found)
	}
	files, err := texts(repository)
	if err != nil {
		t.Fatal(err)
	}
	speller.RemoveRule([]string{"reciever"}) // the reports quote a comment that was misspelt
	speller.Compile()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		_, found := speller.Replace(string(text))
		for _, one := range found {
			t.Errorf("%s:%d: %q: write %s", name, one.Line, one.Original, one.Corrected)
		}
	}
}
