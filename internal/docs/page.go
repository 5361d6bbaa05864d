package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// A page is a document of this repository.
type page struct {
	name   string // below the repository, with slashes
	source []byte
	root   ast.Node
	blocks []block
}

// A block is a fenced block of a page, or one that its readers don't see.
type block struct {
	page     string
	line     int // of the fence
	language string
	// attributes are the words after the language; one without a value is "".
	attributes map[string]string
	lines      []string
	first      int // the line of the page that the first of lines is
	hidden     bool
}

// pages returns the names of all documents, in the order in which they are run.
func pages(repository string) ([]string, error) {
	names := []string{"README.md", "CONTRIBUTING.md"}
	for _, pattern := range []string{"docs/*.md", "examples/*/README.md"} {
		found, err := fs.Glob(os.DirFS(repository), pattern)
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	return names, nil
}

// read reads a document and finds its blocks. What is wrong with them, as far as it
// shows without running them, is its second result.
func read(repository, name string) (*page, []error) {
	source, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(name)))
	if err != nil {
		return nil, []error{err}
	}
	return parse(name, source)
}

func parse(name string, source []byte) (*page, []error) {
	markdown := goldmark.New(goldmark.WithExtensions(extension.GFM))
	p := &page{name: name, source: source, root: markdown.Parser().Parse(text.NewReader(source))}
	var problems []error
	err := ast.Walk(p.root, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		var b block
		var err error
		switch node := node.(type) {
		case *ast.FencedCodeBlock:
			b, err = p.fenced(node)
		case *ast.CodeBlock:
			err = fmt.Errorf("%s:%d: an indented block: write it between fences, with its language", name, p.line(node.Lines().At(0).Start))
		case *ast.HTMLBlock:
			if b, err = p.hidden(node); b.language == "" && err == nil {
				return ast.WalkContinue, nil
			}
		default:
			return ast.WalkContinue, nil
		}
		if err == nil {
			err = b.check()
		}
		if err != nil {
			problems = append(problems, err)
		} else {
			p.blocks = append(p.blocks, b)
		}
		return ast.WalkSkipChildren, nil
	})
	if err != nil {
		problems = append(problems, err)
	}
	return p, append(problems, p.inspect()...)
}

// line returns the line of a place in the source.
func (p *page) line(at int) int { return bytes.Count(p.source[:at], []byte("\n")) + 1 }

func (p *page) fenced(node *ast.FencedCodeBlock) (b block, err error) {
	b = block{page: p.name}
	if node.Info == nil {
		if node.Lines().Len() > 0 {
			b.line = p.line(node.Lines().At(0).Start) - 1
		}
		return b, fmt.Errorf("%s:%d: a block without a language: write it after the fence, and text for what is none", p.name, b.line)
	}
	b.line = p.line(node.Info.Segment.Start)
	b.first = b.line + 1
	for i := range node.Lines().Len() {
		segment := node.Lines().At(i)
		b.lines = append(b.lines, strings.TrimSuffix(string(segment.Value(p.source)), "\n"))
	}
	return b, b.fence(string(node.Info.Value(p.source)))
}

// hiddenMark begins a comment that holds a block for the test alone.
const hiddenMark = "<!-- docs-test:"

func (p *page) hidden(node *ast.HTMLBlock) (b block, err error) {
	lines := strings.Split(string(node.Lines().Value(p.source)), "\n")
	if !strings.HasPrefix(lines[0], hiddenMark) {
		return b, nil
	}
	b = block{page: p.name, hidden: true, line: p.line(node.Lines().At(0).Start)}
	b.first = b.line + 1
	closed := node.HasClosure()
	if closed {
		closing := string(node.ClosureLine.Value(p.source))
		closed = strings.TrimSpace(closing) == "-->"
	}
	if !closed {
		return b, fmt.Errorf("%s:%d: a comment for the test ends with a line that is only -->", p.name, b.line)
	}
	b.lines = lines[1:]
	if last := len(b.lines) - 1; last >= 0 && b.lines[last] == "" {
		b.lines = b.lines[:last]
	}
	return b, b.fence(strings.TrimPrefix(lines[0], hiddenMark))
}

// fence reads what follows a fence: a language, and attributes as NAME or NAME=VALUE,
// where the value may be quoted as in Go.
func (b *block) fence(info string) error {
	info = strings.TrimSpace(info)
	b.language, info, _ = strings.Cut(info, " ")
	b.attributes = map[string]string{}
	for info = strings.TrimSpace(info); info != ""; info = strings.TrimSpace(info) {
		end := strings.IndexAny(info, "= ")
		if end < 0 {
			end = len(info)
		}
		name, value := info[:end], ""
		info = info[end:]
		if strings.HasPrefix(info, "=") {
			info = info[1:]
			if quoted, err := strconv.QuotedPrefix(info); err == nil {
				info = info[len(quoted):]
				value, _ = strconv.Unquote(quoted)
			} else {
				value, info, _ = strings.Cut(info, " ")
			}
			if value == "" {
				return b.errorf("%s has no value", name)
			}
		}
		if _, twice := b.attributes[name]; twice {
			return b.errorf("%s twice", name)
		}
		b.attributes[name] = value
	}
	return nil
}

// errorf returns an error with the place of the block.
func (b *block) errorf(format string, arguments ...any) error {
	return fmt.Errorf("%s:%d: %w", b.page, b.line, fmt.Errorf(format, arguments...))
}

// has reports whether the block has an attribute.
func (b *block) has(name string) bool {
	_, ok := b.attributes[name]
	return ok
}

// text returns the lines of a block as a text that ends with a line break.
func (b *block) text() string { return strings.Join(b.lines, "\n") + "\n" }

// kind says what is done with a block.
type kind int

const (
	output  kind = iota // it shows what is printed, and is not run
	skipped             // it can't be run, for a reason that it names
	commands
	console
	file
	insertion
	functions
)

func (b *block) kind() kind {
	switch {
	case b.has("skip"):
		return skipped
	case b.has("file"):
		return file
	case b.has("in"):
		return insertion
	case b.has("func"):
		return functions
	case b.language == "sh":
		return commands
	case b.language == "console":
		return console
	}
	return output
}

// allowed are the attributes of each kind.
var allowed = map[kind][]string{
	output:    {},
	skipped:   {"skip"},
	commands:  {"background", "until", "stop", "exit", "needs"},
	console:   {"background", "eventually", "stop", "exit", "needs"},
	file:      {"file", "needs"},
	insertion: {"in", "after", "needs"},
	functions: {"func", "needs"},
}

// outputs are the languages of blocks that are never run: they show what is printed.
var outputs = []string{"json", "text"}

// check reports a block that nothing would be done with, and attributes that it can't
// have.
func (b *block) check() error {
	is := b.kind()
	if is == output && !slices.Contains(outputs, b.language) {
		return b.errorf("nothing runs this block of %s: give it file=PATH, func=PATH, in=PATH or skip=\"reason\"", b.language)
	}
	for name := range b.attributes {
		if !slices.Contains(allowed[is], name) {
			return b.errorf("a block of %s can't have %s here", b.language, name)
		}
	}
	switch {
	case b.has("skip") && b.attributes["skip"] == "":
		return b.errorf("skip has no reason: write skip=\"reason\"")
	case b.has("until") && !b.has("background"):
		return b.errorf("until is for a block in the background")
	case is == functions && b.language != "go":
		return b.errorf("func=PATH is for blocks of go")
	case is == insertion && b.attributes["after"] == "":
		return b.errorf("in=PATH also needs after=\"TEXT\", a part of the line to insert after")
	case b.has("eventually") && b.has("background"):
		return b.errorf("eventually is not for a block in the background: the page waits for that anyway")
	case b.has("exit") && b.has("background"):
		return b.errorf("exit=CODE is not for a block in the background")
	}
	for _, name := range []string{"file", "in", "func"} {
		if path, ok := b.attributes[name]; ok && !filepath.IsLocal(filepath.FromSlash(path)) {
			return b.errorf("%s=%s is not a path below the folder of the page", name, path)
		}
	}
	return nil
}
