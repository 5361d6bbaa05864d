// Package english checks that the repository's text is plain English: that
// comments, messages, templates and documents use the field's words, and not words
// that only this repository would use.
package english

import (
	"bytes"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// repository is the root of the repository.
const repository = "../.."

// rule bans a wording. A space in a pattern matches any white space, also the line
// break and the slashes between two lines of a comment.
type rule struct {
	pattern string // a regular expression, in lower case
	write   string // what to write instead
	allowed string // a regular expression for the line if the wording is right there; "" for none
}

// rules are the wordings that have come up, and what the glossary asks for instead.
var rules = []rule{
	{`\banew\b`, "again", ""},
	{`\bhouses?\b`, "override folder, or overrides", `testdata/house|example\.com|house/(common|shop)`},
	{`\b(told|tell|tells|telling)\b`, "warn, report or print", ""},
	{`\bsaid\b`, "report or print", ""},
	{`\bstands? (at|in|for|behind|there|beside|where|around|below|above|among|already|alone)\b`, "is, is in or exists", ""},
	{`\bcom(e|es|ing) to stand\b`, "become ready", ""},
	{`\b(is|are|was|were) no\b`, "is not a, or has no", `(there (is|are|was|were)|(is|are|was|were) no longer)\b`},
	{`\b(no|any) more\b`, "no longer", `no more than`},
	{`\byet to be\b`, "not … yet", ""},
	{`\bless (the|a|an|what|those)\b`, "without", ""},
	{`\b(a|an) (rpc|method|event|service|type|message) a (file|line|folder|commit)\b`, "one file per RPC", ""},
	{`\bis whether\b`, "reports whether, or is true if", ""},
	{`, (for|as) (it|there|this|that|nothing|nobody|none) (is|are|was|were|has|have|had|can|could|may|might|must|would|will)\b`, "because", ""},
	{`\b(begin|begins|start|starts|put|puts|go|goes|come|comes) behind\b`, "after", ""},
	{`\bbehind (a|the|this|its) (position|offset|last)\b`, "after", ""},
	{`\b(bury|buries|buried)\b`, "move to the dead letters", `json:"buried|buried (is|time|text)|retrying|dead-buried|place, buried|deadletter\.buried|hold\.bury|\|buried\|`},
	{`\bwhat is gone\b`, "leftover", ""},
	{`\bin the clear\b`, "in plaintext, or unencrypted", ""},
	{`\bbut for\b`, "except", ""},
}

// TestPlainEnglish checks the text of the repository.
func TestPlainEnglish(t *testing.T) {
	files, err := texts(repository)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 100 {
		t.Fatalf("there are only %d files to check", len(files))
	}
	compiled := compile(rules)
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range compiled.find(readable(name, text)) {
			t.Errorf("%s:%d: %q: write %s", name, one.line, one.wording, one.write)
		}
	}
}

// TestRules checks that the rules find what they ban, and nothing else.
func TestRules(t *testing.T) {
	compiled := compile(rules)
	for text, want := range map[string]int{
		"// It is written\n// anew.":                                  2,
		"// One that is no\n\t// template.":                           1,
		"// There is no template, and there are\n// no longer files.": 0,
		"// X is whether it works.":                                   1,
		"var anew = 1":                                                0,
		"var s = \"a file\\nanew\"":                                   1,
		"var s = `one\ntold twice`":                                   2,
		"// as told\nvar _ = told // tells":                           1,
		"// It waits, as it is busy.":                                 1,
		"// It waits, as the server does.":                            0,
		"// Take it less the marker.":                                 1,
		"// It takes less than a second.":                             0,
	} {
		found := compiled.find(readable("x.go", []byte("package x\n"+text)))
		if want == 0 && len(found) > 0 || want > 0 && (len(found) == 0 || found[0].line != want+1) {
			t.Errorf("in %q there is %v, want one in line %d", text, found, want)
		}
	}
}

// texts returns the names of the files to check. It skips hidden folders, testdata, and
// copies of the runtime, whose text is checked where it was copied from.
func texts(root string) (names []string, err error) {
	err = filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		hidden := name != "." && strings.HasPrefix(entry.Name(), ".")
		if hidden || entry.Name() == "testdata" || entry.Name() == "node_modules" || entry.Name() == path.Base(model.RuntimeDir) || name == "internal/english" {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.IsDir() && (slices.Contains([]string{".go", ".md", ".tmpl", ".sh", ".py", ".ts"}, path.Ext(name)) || entry.Name() == "Makefile") {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// readable returns the text of a file in lower case, with the same line breaks. Of a
// Go file it returns the comments and strings; everything else becomes zeros.
func readable(name string, text []byte) []byte {
	if path.Ext(name) != ".go" {
		return bytes.ToLower(text)
	}
	masked := make([]byte, len(text))
	for i, c := range text {
		if c == '\n' || c == ' ' || c == '\t' {
			masked[i] = c
		}
	}
	var s scanner.Scanner
	file := token.NewFileSet().AddFile(name, -1, len(text))
	s.Init(file, text, nil, scanner.ScanComments)
	for {
		pos, tok, literal := s.Scan()
		switch tok {
		case token.EOF:
			return bytes.ToLower(masked)
		case token.COMMENT:
			copy(masked[file.Offset(pos):], "  "+literal[2:])
		case token.STRING:
			copy(masked[file.Offset(pos):], unescaped(literal))
		}
	}
}

// unescaped returns a string literal with its line breaks as spaces, so that the n of
// \n is not the beginning of a word.
func unescaped(literal string) string {
	if literal[0] == '`' {
		return literal
	}
	return strings.NewReplacer(`\\`, `\\`, `\n`, "  ", `\t`, "  ").Replace(literal)
}

// finding is a banned wording in a text.
type finding struct {
	line           int
	wording, write string
}

// checker has the compiled rules.
type checker struct {
	any   *regexp.Regexp // matches what any of the rules matches
	rules []compiledRule
}

type compiledRule struct {
	rule
	pattern, allowed *regexp.Regexp
}

func compile(rules []rule) (c checker) {
	var patterns []string
	for _, one := range rules {
		pattern := strings.ReplaceAll(one.pattern, " ", `\s+`)
		patterns = append(patterns, pattern)
		compiled := compiledRule{rule: one, pattern: regexp.MustCompile(`^(?:` + pattern + `)`)}
		if one.allowed != "" {
			compiled.allowed = regexp.MustCompile(strings.ReplaceAll(one.allowed, " ", `\s+`))
		}
		c.rules = append(c.rules, compiled)
	}
	c.any = regexp.MustCompile(strings.Join(patterns, "|"))
	return c
}

// find returns the banned wordings in a text. It looks for all rules at once, which is
// much faster than one after the other.
func (c checker) find(text []byte) (all []finding) {
	for _, at := range c.any.FindAllIndex(text, -1) {
		for _, one := range c.rules {
			if one.pattern.Match(text[at[0]:at[1]]) && !one.allows(text, at) {
				all = append(all, finding{bytes.Count(text[:at[0]], []byte("\n")) + 1, string(text[at[0]:at[1]]), one.write})
				break
			}
		}
	}
	return all
}

// allows reports whether the wording is allowed in what surrounds it.
func (r compiledRule) allows(text []byte, at []int) bool {
	const around = 20
	return r.allowed != nil && r.allowed.Match(text[max(0, at[0]-around):min(len(text), at[1]+around)])
}
