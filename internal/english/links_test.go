package english

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	mark    = regexp.MustCompile(`[^\w\- ]`)
)

// TestLinksLeadSomewhere checks that each link from one document to another leads to a
// file that exists, and to one of its headings.
func TestLinksLeadSomewhere(t *testing.T) {
	documents := []string{"README.md", "CONTRIBUTING.md", "docs/events.md", "docs/operations.md", "docs/regeneration.md", "docs/templates.md"}
	links := 0
	for _, name := range documents {
		text, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			links++
			to := filepath.Join(repository, name)
			if match[1] != "" {
				to = filepath.Join(repository, filepath.Dir(name), filepath.FromSlash(match[1]))
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: %s: %v", name, match[0], err)
			} else if match[2] != "" && !slices.Contains(anchors(t, to), match[2]) {
				t.Errorf("%s: %s: there is no such heading", name, match[0])
			}
		}
	}
	if links < 20 {
		t.Errorf("there are only %d links to check", links)
	}
}

// anchors returns the names by which links name the headings of a document.
func anchors(t *testing.T, at string) (names []string) {
	text, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range heading.FindAllStringSubmatch(string(text), -1) {
		names = append(names, strings.ReplaceAll(strings.ToLower(mark.ReplaceAllString(match[1], "")), " ", "-"))
	}
	return names
}
