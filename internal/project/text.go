package project

import (
	"bytes"
	"strings"

	"github.com/bufbuild/protocompile/ast"
	"github.com/bufbuild/protocompile/parser"
	"github.com/bufbuild/protocompile/reporter"
)

// source is the text of a proto, and where in it some things are.
type source struct {
	text    []byte
	pkg     string // the proto package; "" for none
	option  *span  // the option go_package, if there is one
	after   int    // where the option can be inserted: after imports, package and syntax
	line    int    // of the option, or of what it comes after; 0 if that is the beginning
	imports bool   // whether there are imports
}

// span is a part of a text.
type span struct{ from, to int }

// parse reads a proto, as far as it can be read. What is wrong with it is found when
// it is compiled.
func parse(name string, text []byte) source {
	s := source{text: text}
	handler := reporter.NewHandler(reporter.NewReporter(func(reporter.ErrorWithPos) error { return nil }, nil))
	file, _ := parser.Parse(name, bytes.NewReader(text), handler)
	if file == nil {
		return s
	}
	place := func(node ast.Node) span {
		from, to := file.NodeInfo(node).Start().Offset, file.NodeInfo(node).End().Offset
		return span{from, to + bytes.IndexByte(text[to-1:], ';')} // which ends each of them
	}
	goOn := func(node ast.Node) {
		if at := place(node).to; at > s.after {
			s.after, s.line = at, file.NodeInfo(node).Start().Line
		}
	}
	if file.Syntax != nil {
		goOn(file.Syntax)
	}
	if file.Edition != nil {
		goOn(file.Edition)
	}
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.PackageNode:
			s.pkg = string(decl.Name.AsIdentifier())
			goOn(decl)
		case *ast.ImportNode:
			s.imports = true
			goOn(decl)
		case *ast.OptionNode:
			if parts := decl.Name.Parts; len(parts) == 1 && parts[0].Open == nil && parts[0].Name.AsIdentifier() == "go_package" {
				at := place(decl)
				s.option = &at
			}
		}
	}
	if s.option != nil {
		s.line = bytes.Count(text[:s.option.from], []byte("\n")) + 1
	}
	return s
}

// with returns the text with another go_package, on a line of its own if it had none.
func (s source) with(goPackage string) []byte {
	option := optionLine(goPackage)
	if s.option != nil {
		return bytes.Join([][]byte{s.text[:s.option.from], []byte(option), s.text[s.option.to:]}, nil)
	}
	at := s.after
	if rest, _, found := bytes.Cut(s.text[at:], []byte("\n")); found && at > 0 && isComment(string(rest)) {
		at += len(bytes.TrimRight(rest, "\r"))
	}
	newline := "\n"
	if bytes.Contains(s.text, []byte("\r\n")) {
		newline = "\r\n"
	}
	inserted := newline + newline + option
	if s.after == 0 {
		inserted = option + newline + newline
	} else if !startsLine(s.text[at:]) {
		inserted += newline
	}
	return bytes.Join([][]byte{s.text[:at], []byte(inserted), s.text[at:]}, nil)
}

// alone reports whether nothing is beside the option on its line.
func (s source) alone() bool {
	before := s.text[bytes.LastIndexByte(s.text[:s.option.from], '\n')+1 : s.option.from]
	after, _, _ := bytes.Cut(s.text[s.option.to:], []byte("\n"))
	return len(bytes.TrimSpace(before)) == 0 && len(bytes.TrimSpace(after)) == 0
}

// isComment reports whether what follows a declaration on its line belongs to it.
func isComment(rest string) bool {
	rest = strings.TrimSpace(rest)
	return strings.HasPrefix(rest, "//") || strings.HasPrefix(rest, "/*") && strings.HasSuffix(rest, "*/") && strings.Count(rest, "*/") == 1
}

func startsLine(rest []byte) bool {
	return len(rest) == 0 || rest[0] == '\n' || rest[0] == '\r'
}

func optionLine(goPackage string) string { return `option go_package = "` + goPackage + `";` }
