package model

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Scope is what a template is executed for. It is named as the folder of a
// tree of templates that it has to itself.
type Scope struct {
	Name string
	Doc  string // in words: "once for each RPC"
	// Data is of the type that its templates see.
	Data Element
	// Placeholders are the names that may be in braces in a template's path.
	Placeholders []Placeholder
	// Variants are all that [Element.Variant] returns.
	Variants []string
	// Elements are those of a module, in a fixed order. It is nil for what no run
	// of generate executes, but new.
	Elements func(*Module) []Element
}

// Scopes are all of them, in the order of their output.
var Scopes = []Scope{
	{"module", "once for the module", (*Module)(nil), nil, withOrWithout, func(m *Module) []Element {
		return []Element{m}
	}},
	{"program", "once for each server and its client", (*Program)(nil), ofProgram, withOrWithout, func(m *Module) []Element {
		if m.NoPrograms {
			return nil
		}
		return each(m.Programs)
	}},
	{"package", "once for each Go package of messages with services", (*Package)(nil), ofPackage, withOrWithout, func(m *Module) []Element {
		return each(m.Packages)
	}},
	{"service", "once for each service", (*Service)(nil), ofService, withOrWithout, func(m *Module) []Element {
		return each(m.Services())
	}},
	{"event", "once for each message that an RPC takes or reads as an event", (*Event)(nil), ofEvent, nil, func(m *Module) []Element {
		return each(m.EventTypes())
	}},
	{"method", "once for each RPC", (*Method)(nil), ofMethod, kinds, func(m *Module) (all []Element) {
		for _, service := range m.Services() {
			all = append(all, each(service.Methods)...)
		}
		return all
	}},
	{ofNew, "once by the command new", (*Project)(nil), ofProject, []string{drafted, given}, nil},
}

const ofNew = "project"

// Drafts returns the scope of what new writes.
func Drafts() Scope { scope, _ := ScopeOf(ofNew); return scope }

// ScopeNames returns the names of all scopes.
func ScopeNames() (names []string) {
	for _, scope := range Scopes {
		names = append(names, scope.Name)
	}
	return names
}

// ScopeOf returns the scope of a name.
func ScopeOf(name string) (scope Scope, found bool) {
	i := slices.IndexFunc(Scopes, func(s Scope) bool { return s.Name == name })
	if i < 0 {
		return Scope{}, false
	}
	return Scopes[i], true
}

func each[E Element](elements []E) []Element {
	all := make([]Element, len(elements))
	for i, element := range elements {
		all[i] = element
	}
	return all
}

// Placeholder is a name in braces in a template's path, which is replaced by
// something of each element.
type Placeholder struct {
	Name, Doc string
	of        func(Element) string
}

func placeholder[E Element](name, doc string, of func(E) string) Placeholder {
	return Placeholder{name, doc, func(element Element) string { return of(element.(E)) }}
}

// with returns the placeholders of an element, and of what it belongs to.
func with[E, Above Element](above []Placeholder, of func(E) Above, own ...Placeholder) []Placeholder {
	for _, p := range above {
		own = append(own, placeholder(p.Name, p.Doc, func(element E) string { return p.of(of(element)) }))
	}
	return own
}

// The placeholders of each scope.
var (
	ofProgram = []Placeholder{
		placeholder("app", "name of the program", func(p *Program) string { return p.Name }),
	}
	ofPackage = with(ofProgram, func(p *Package) *Program { return p.Program },
		placeholder("gen", "folder of what is generated for the package: beside its messages", func(p *Package) string { return p.dir }),
		placeholder("base", "name of the package of messages, without a trailing `pb`", func(p *Package) string { return p.Base }))
	ofService = with(ofPackage, func(s *Service) *Package { return s.Package },
		placeholder("service", "the service, as the base name of a file", func(s *Service) string { return s.File }),
		placeholder("fake", "base name of the file with its fake", func(s *Service) string { return s.Fake }),
		placeholder("record", "base name of the record of what was written of yours", (*Service).RecordFile),
		placeholder("commands", "base name of the file with its subcommands", func(s *Service) string { return s.Commands }),
		placeholder("path", "folder of its implementation, below `internal`", func(s *Service) string { return strings.TrimPrefix(s.impl.Dir, "internal/") }))
	ofEvent = with(ofPackage, func(e *Event) *Package { return e.Package },
		placeholder("event", "the event, as the base name of a file", func(e *Event) string { return e.File }))
	ofMethod = with(ofService, func(m *Method) *Service { return m.Service },
		placeholder("method", "the RPC, as the base name of a file", func(m *Method) string { return m.File }),
		placeholder("contract", "base name of the file with its part of the contract", func(m *Method) string { return m.TestFile }))
	ofProject = []Placeholder{
		placeholder("protos", "folder of the module's protos", func(p *Project) string { return p.Protos }),
		placeholder("package", "folder of the service's proto, below that", (*Project).folder),
		placeholder("proto", "base name of the service's proto", (*Project).file),
	}
)

// Check returns an error for the first placeholder of a template's path that is
// not one of the scope's.
func (s Scope) Check(pattern string) error {
	for rest := pattern; ; {
		_, opening, opened := strings.Cut(rest, "{")
		if !opened {
			return nil
		}
		name, after, closed := strings.Cut(opening, "}")
		if !closed {
			return fmt.Errorf("the brace before %q is not closed", opening)
		}
		if !slices.ContainsFunc(s.Placeholders, func(p Placeholder) bool { return p.Name == name }) {
			return fmt.Errorf("there is no {%s} in the path of %s templates: they have %s", name, s.Name, s.known())
		}
		rest = after
	}
}

// known lists the placeholders of the scope.
func (s Scope) known() string {
	if len(s.Placeholders) == 0 {
		return "no placeholders"
	}
	var names []string
	for _, p := range s.Placeholders {
		names = append(names, "{"+p.Name+"}")
	}
	return strings.Join(names, ", ")
}

// Expand makes a path of a template's path, which passes [Scope.Check]: the
// placeholders are replaced by what they mean for an element.
func (s Scope) Expand(pattern string, element Element) string {
	for _, p := range s.Placeholders {
		if braced := "{" + p.Name + "}"; strings.Contains(pattern, braced) {
			pattern = strings.ReplaceAll(pattern, braced, p.of(element))
		}
	}
	return path.Clean(pattern)
}
