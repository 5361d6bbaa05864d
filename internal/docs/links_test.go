//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLinks checks that each link of each document leads to something.
func TestLinks(t *testing.T) {
	names, err := pages(repository)
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	for _, name := range names {
		p, _ := read(repository, name)
		links += len(p.links())
		for _, problem := range p.follow(repository) {
			t.Error(problem)
		}
	}
	if links < 20 {
		t.Errorf("there are only %d links to check", links)
	}
}

// TestWrongLinks checks that links that lead nowhere are reported, and others are not.
func TestWrongLinks(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"other.md": "# One `two`, and three!\n\n## again\n\n## again\n\n```sh\n# no heading\n```\n",
		"b c.go":   "package b\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for to, want := range map[string]string{
		"other.md":                     "",
		"./other.md#one-two-and-three": "",
		"other.md#again-1":             "",
		"#here":                        "",
		"b%20c.go":                     "",
		"https://example.com/a#b":      "",
		"other.md#again-2":             "other.md has no such heading",
		"other.md#no-heading":          "other.md has no such heading",
		"#there":                       "p.md has no such heading",
		"docs/missing.md":              "no such file",
		"../other.md":                  "leads out of the repository",
		"b%20c.go#L1":                  "only Markdown has headings",
		"htps://example.com":           "not an address",
		"https:///a":                   "not an address",
		"https://example.com/%zz":      "invalid URL escape",
	} {
		p, _ := parse("p.md", []byte("# Here\n\nText,\nand [a `link`]("+to+").\n\n| a |\n|---|\n| [b]("+to+") |\n"))
		problems := p.follow(root)
		if want == "" {
			if len(problems) > 0 {
				t.Errorf("of %s: %v", to, problems)
			}
			continue
		}
		if len(problems) != 2 || !strings.HasPrefix(problems[0].Error(), "p.md:4: ") || !strings.HasPrefix(problems[1].Error(), "p.md:8: ") ||
			!strings.Contains(problems[0].Error(), want) {
			t.Errorf("of %s: %v, want %s in lines 4 and 8", to, problems, want)
		}
	}
}
