package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/reporter"
	"mvdan.cc/sh/v3/syntax"
)

// inspect reports what is wrong with the blocks of a page that shows without running
// them: the syntax of commands, Go that is not as gofmt has it, protos that do not
// compile.
func (p *page) inspect() (problems []error) {
	for i := range p.blocks {
		b := &p.blocks[i]
		var err error
		switch {
		case b.language == "go" && b.kind() != insertion: // what is inserted may be a part of a call
			err = b.formatted()
		case b.language == "proto" && whole.MatchString(b.text()):
			err = p.compiles(b)
		case b.kind() == commands || b.kind() == console:
			_, err = b.statements()
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// statements returns how many commands a block has, or what is wrong with their syntax.
func (b *block) statements() (n int, err error) {
	steps := []step{{line: b.first, command: b.text()}}
	if b.kind() == console {
		if steps, err = b.steps(); err != nil {
			return 0, err
		}
	}
	for _, one := range steps {
		file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(one.command), "")
		var wrong syntax.ParseError
		if errors.As(err, &wrong) {
			return 0, fmt.Errorf("%s:%d: %s", b.page, one.line+int(wrong.Pos.Line())-1, wrong.Text)
		}
		if err != nil {
			return 0, b.errorf("%w", err)
		}
		n += len(file.Stmts)
	}
	if n == 0 {
		return 0, b.errorf("no command in this block")
	}
	return n, nil
}

// whole matches protos that are a file of their own.
var whole = regexp.MustCompile(`(?m)^(syntax|edition)\s*=`)

// compiles reports why a block that is a whole proto does not compile. It may import
// what the other blocks of its page write; what it imports from elsewhere is left to
// the commands of the page.
func (p *page) compiles(b *block) error {
	const name = "block.proto"
	var mistakes []error
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: func(at string) (io.ReadCloser, error) {
			if at == name {
				return io.NopCloser(strings.NewReader(b.text())), nil
			}
			for i := range p.blocks {
				if path, ok := p.blocks[i].attributes["file"]; ok && (path == at || strings.HasSuffix(path, "/"+at)) {
					return io.NopCloser(strings.NewReader(p.blocks[i].text())), nil
				}
			}
			return nil, fs.ErrNotExist
		}}),
		Reporter: reporter.NewReporter(func(err reporter.ErrorWithPos) error {
			if !errors.Is(err, fs.ErrNotExist) {
				mistakes = append(mistakes, fmt.Errorf("%s:%d: %w", b.page, b.first+err.GetPosition().Line-1, err.Unwrap()))
			}
			return nil
		}, nil),
	}
	_, err := compiler.Compile(context.Background(), name)
	if len(mistakes) > 0 {
		return errors.Join(mistakes...)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, reporter.ErrInvalidSource) {
		return b.errorf("%w", err)
	}
	return nil
}
