package server

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// file returns what the file of the configuration gives, if the other sources name
// one: the last counts. Its keys are the names of flags. Those that are not wanted
// are passed over.
func (s *settings) file(wanted func(key string) bool, others ...[]setting) []setting {
	var named setting
	for _, other := range slices.Concat(others...) {
		if other.flag == s.config {
			named = other
		}
	}
	path := named.text
	if path == "" {
		return nil
	}
	at := func(line int) string { return fmt.Sprintf("%s:%d", path, line) }
	content, err := readFile(path, mostConfiguration)
	if err != nil {
		err = fmt.Errorf("%s: %w", named.label, err)
	}
	var root *yaml.Node
	if err == nil {
		root, err = parseFile(content, at)
	}
	if err != nil { // so it is not known what flags should be
		s.errs = append(s.errs, err)
		s.flags.VisitAll(func(f *flag.Flag) { s.wrong[f.Name] = true })
		return nil
	}
	var given []setting
	lines := map[string]int{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		name, line := key.Value, at(key.Line)
		if !wanted(name) {
			continue
		}
		f := s.flags.Lookup(name)
		switch {
		case key.Kind != yaml.ScalarNode:
			s.errorf("%s: want the name of a flag before the colon, such as addr: localhost:50051", line)
			continue
		case f == nil:
			s.errorf("%s: unknown key %q: %s", line, redacted(name), s.suggestion(name, ""))
			continue
		case belongsToArguments(name):
			s.errorf("%s: %s can't be in the file: give it as a flag", line, name)
			continue
		case lines[name] > 0:
			s.errorf("%s: %s is in line %d, too: leave out one of them", line, name, lines[name])
			s.wrong[name] = true
			continue
		}
		lines[name] = key.Line
		for _, value := range values(f, value) {
			why := ""
			switch {
			case value.Kind != yaml.ScalarNode:
				why = "want one value, without others in it"
			case value.ShortTag() == "!!null":
				why = "it has no value: give one, or leave out the line"
			case strings.Contains(value.Value, hidden):
				why = "what is secret was hidden by --print-config: write it again in place of " + hidden
			}
			if why != "" {
				s.errorf("%s: %s: %s", at(value.Line), name, why)
				s.wrong[name] = true
				continue
			}
			given = append(given, setting{f, value.Value, at(value.Line), at(value.Line) + ": " + name + shown(f, " ", value.Value)})
		}
	}
	return given
}

// values returns the values of a flag, of which one that collects what it is given
// may have a list.
func values(f *flag.Flag, value *yaml.Node) []*yaml.Node {
	if _, ok := f.Value.(flag.Getter); !ok && value.Kind == yaml.SequenceNode {
		return value.Content
	}
	return []*yaml.Node{value}
}

// parseFile returns the keys and values of a file, in turn.
func parseFile(content []byte, at func(line int) string) (*yaml.Node, error) {
	if !utf8.Valid(content) {
		valid := bytes.ToValidUTF8(content, []byte{0})
		line := 1 + bytes.Count(valid[:bytes.IndexByte(valid, 0)], []byte("\n"))
		return nil, fmt.Errorf("%s: the file is not UTF-8", at(line))
	}
	loader, err := yaml.NewLoader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	var document, second yaml.Node
	switch err := loader.Load(&document); {
	case errors.Is(err, io.EOF):
		return &yaml.Node{}, nil
	case err != nil:
		return nil, unreadable(err, at)
	}
	switch err := loader.Load(&second); {
	case err == nil:
		return nil, fmt.Errorf("%s: a second document begins: want one", at(second.Line))
	case !errors.Is(err, io.EOF):
		return nil, unreadable(err, at)
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode && root.ShortTag() != "!!null" {
		return nil, fmt.Errorf("%s: want lines with a flag and its value, such as addr: localhost:50051", at(root.Line))
	}
	return root, nil
}

// repeated is what errors of YAML may repeat of a value.
var repeated = regexp.MustCompile(`'[^'\s]{2,}'`)

// unreadable returns the error for a file that is not YAML.
func unreadable(err error, at func(line int) string) error {
	failed := (*yaml.LoadError)(nil)
	if !errors.As(err, &failed) {
		return fmt.Errorf("%s: %s", at(1), repeated.ReplaceAllString(err.Error(), "…"))
	}
	return fmt.Errorf("%s:%d: it can't be read as YAML: %s (a value with : # or one that begins with a sign needs quotes)",
		at(failed.Mark.Line), failed.Mark.Column, repeated.ReplaceAllString(failed.Message, "…"))
}

// print writes the configuration as a file for --config, and where each value comes
// from. What is secret is hidden.
func (s *settings) print(to io.Writer) error {
	root := &yaml.Node{Kind: yaml.MappingNode}
	s.flags.VisitAll(func(f *flag.Flag) {
		if belongsToArguments(f.Name) {
			return
		}
		from, value := "default", scalar(f, f.Value.String())
		given := s.given[f.Name]
		if len(given) > 0 {
			from = given[0].from
		}
		if _, ok := f.Value.(flag.Getter); !ok && value.Value == "" { // it can't be asked what it has collected
			if given == nil {
				return
			}
			value = &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
			for _, setting := range given {
				value.Content = append(value.Content, scalar(f, setting.text))
			}
		}
		value.LineComment = "# " + from
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: f.Name}, value)
	})
	text, err := yaml.Dump(root, yaml.WithLineWidth(-1))
	if err == nil {
		_, err = fmt.Fprintf(to, "# Configuration of %s\n%s", s.program, text)
	}
	return err
}

// scalar returns a value of a flag as YAML.
func scalar(f *flag.Flag, text string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: redacted(text)}
	if getter, ok := f.Value.(flag.Getter); ok {
		switch getter.Get().(type) {
		case bool, int, int64, uint, uint64, float64:
			node.Tag = "" // so that it gets no quotes
		}
	}
	if strings.ContainsAny(text, "\n\r") {
		node.Style = yaml.DoubleQuotedStyle
	}
	return node
}
