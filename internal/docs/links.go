package main

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/yuin/goldmark/ast"
)

// A link is where a page leads to.
type link struct {
	line int
	to   string
}

// links returns the links of a page, and its images.
func (p *page) links() (all []link) {
	line := 1
	_ = ast.Walk(p.root, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		if node.Type() == ast.TypeBlock && node.Lines().Len() > 0 {
			line = p.line(node.Lines().At(0).Start)
		}
		switch node := node.(type) {
		case *ast.Text:
			line = p.line(node.Segment.Start)
		case *ast.Link:
			all = append(all, link{p.first(node, line), string(node.Destination)})
		case *ast.Image:
			all = append(all, link{p.first(node, line), string(node.Destination)})
		case *ast.AutoLink:
			all = append(all, link{line, string(node.URL(p.source))})
		}
		return ast.WalkContinue, nil
	})
	return all
}

// first returns the line of the first text in a node, or else line.
func (p *page) first(node ast.Node, line int) int {
	for child := node.FirstChild(); child != nil; child = child.FirstChild() {
		if text, ok := child.(*ast.Text); ok {
			return p.line(text.Segment.Start)
		}
	}
	return line
}

// anchors returns the names by which links name the headings of a page, as GitHub makes
// them.
func (p *page) anchors() map[string]bool {
	names := map[string]bool{}
	_ = ast.Walk(p.root, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		heading, ok := node.(*ast.Heading)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		name := strings.Map(func(c rune) rune {
			switch {
			case c == ' ':
				return '-'
			case c == '-' || c == '_' || unicode.IsLetter(c) || unicode.IsNumber(c) || unicode.IsMark(c):
				return unicode.ToLower(c)
			}
			return -1
		}, plain(heading, p.source))
		unique := name
		for n := 1; names[unique]; n++ {
			unique = name + "-" + strconv.Itoa(n)
		}
		names[unique] = true
		return ast.WalkSkipChildren, nil
	})
	return names
}

// plain returns the text of a node, without its markup.
func plain(node ast.Node, source []byte) string {
	var text strings.Builder
	_ = ast.Walk(node, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		switch node := node.(type) {
		case *ast.Text:
			if entering {
				text.Write(node.Segment.Value(source))
			}
		case *ast.String:
			if entering {
				text.Write(node.Value)
			}
		}
		return ast.WalkContinue, nil
	})
	return text.String()
}

// follow reports what is wrong with the links of a page: a file that does not exist, a
// heading that a page does not have, an address that is not one. It asks no server.
func (p *page) follow(repository string) (problems []error) {
	for _, link := range p.links() {
		if err := p.leads(repository, link.to); err != nil {
			problems = append(problems, fmt.Errorf("%s:%d: the link to %s: %w", p.name, link.line, link.to, err))
		}
	}
	return problems
}

func (p *page) leads(repository, to string) error {
	address, err := url.Parse(to)
	if err != nil {
		return err
	}
	if address.Scheme != "" {
		if address.Scheme != "https" && address.Scheme != "http" && address.Scheme != "mailto" || address.Scheme != "mailto" && address.Host == "" {
			return fmt.Errorf("it is not an address of the web")
		}
		return nil
	}
	target := p
	if address.Path != "" {
		name := path.Join(path.Dir(p.name), address.Path)
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return fmt.Errorf("it leads out of the repository")
		}
		at := filepath.Join(repository, filepath.FromSlash(name))
		if _, err := os.Stat(at); err != nil {
			return err
		}
		if address.Fragment == "" {
			return nil
		}
		if path.Ext(name) != ".md" {
			return fmt.Errorf("only Markdown has headings")
		}
		source, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		target, _ = parse(name, source)
	}
	if address.Fragment != "" && !target.anchors()[address.Fragment] {
		return fmt.Errorf("%s has no such heading", target.name)
	}
	return nil
}
