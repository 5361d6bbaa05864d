package model

import (
	"fmt"
	"path"
	"strings"
)

// Element is what a template is executed for: a [Module], [Program], [Package],
// [Service], [Event] or [Method].
type Element interface {
	// Place is what a placeholder in a template's path stands for; "" if the
	// element has no such thing.
	Place(placeholder string) string
	// Variant says which of several templates for one path is the element's;
	// it may be another one for a file of yours, which joins code of yours.
	Variant(yours bool) string
	// Traces are what a run that knew the element has left in files of ours:
	// one of them is enough to tell.
	Traces() []Trace
	// Declared is the proto file that declares the element, "" for one that is
	// declared in none alone.
	Declared() string
	// String names the element, for messages.
	String() string
}

const (
	withEvents = "events" // has to do with events, or one of its RPCs has
	plain      = "plain"  // has not
)

// Variants are all that [Element.Variant] returns.
var Variants = func() []string {
	all := []string{withEvents, plain}
	for _, kind := range Kinds {
		all = append(all, string(kind))
	}
	return all
}()

// Trace is a file below the module's root, and what stands in it, if that
// matters.
type Trace struct{ Path, Text string }

// Expand makes a path of a template's path: the placeholders replaced by what
// they stand for with this element.
func Expand(pattern string, element Element) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(pattern, "{")
		b.WriteString(before)
		if !found {
			return path.Clean(b.String()), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		place := element.Place(name)
		if !closed || place == "" {
			return "", fmt.Errorf("there is no {%s} for %s", name, element)
		}
		b.WriteString(place)
		pattern = after
	}
}

// Place, Variant, Trace and String make the module an [Element].
func (m *Module) Place(string) string { return "" }

// Variant is the only one.
func (m *Module) Variant(bool) string { return "" }

// Traces are none: what is once for a module is always ours.
func (m *Module) Traces() []Trace { return nil }

// Declared is none.
func (m *Module) Declared() string { return "" }

func (m *Module) String() string { return "module " + m.Path }

// Place knows {app}.
func (p *Program) Place(placeholder string) string {
	if placeholder == "app" {
		return p.Name
	}
	return ""
}

// Variant is that of a program that has to do with events, or has not.
func (p *Program) Variant(bool) string { return variant(p.UsesEvents()) }

// Traces is the client's table of subcommands.
func (p *Program) Traces() []Trace { return []Trace{{Path: "cmd/" + p.Name + "-client/commands.go"}} }

// Declared is none.
func (p *Program) Declared() string { return "" }

func (p *Program) String() string { return "program " + p.Name }

// Place knows {gen}, {base} and {app}.
func (p *Package) Place(placeholder string) string {
	switch placeholder {
	case "gen":
		return p.dir
	case "base":
		return p.Base
	}
	return p.Program.Place(placeholder)
}

// Variant is that of a package with event types, or none.
func (p *Package) Variant(bool) string { return variant(p.UsesEvents()) }

// Traces is the client of the package.
func (p *Package) Traces() []Trace { return []Trace{{Path: p.Client.Dir + "/client.go"}} }

// Declared is none.
func (p *Package) Declared() string { return "" }

func (p *Package) String() string { return "package " + p.Messages.Path }

// Place knows {service}, {commands} and {path}, and what the package knows.
func (s *Service) Place(placeholder string) string {
	switch placeholder {
	case "service":
		return s.File
	case "commands":
		return s.Commands
	case "path":
		return strings.TrimPrefix(s.Impl.Dir, "internal/")
	}
	return s.Package.Place(placeholder)
}

// Variant is that of a service that has to do with events, or has not.
func (s *Service) Variant(bool) string { return variant(s.UsesEvents()) }

// Traces are the client of the service, and its server.
func (s *Service) Traces() []Trace {
	return []Trace{
		{Path: s.client(), Text: fmt.Sprintf("Name: %q", s.FullName)},
		{Path: s.Package.Server.Dir + "/" + s.File + ".go", Text: "the service " + s.FullName + "."},
	}
}

func (s *Service) client() string { return s.Package.Client.Dir + "/" + s.File + ".go" }

// Declared is the file that declares the service.
func (s *Service) Declared() string { return s.proto }

func (s *Service) String() string { return "service " + s.FullName }

// Place knows {event}, and what the package knows.
func (e *Event) Place(placeholder string) string {
	if placeholder == "event" {
		return e.File
	}
	return e.Package.Place(placeholder)
}

// Variant is the only one.
func (e *Event) Variant(bool) string { return "" }

// Traces is the log of the event type.
func (e *Event) Traces() []Trace { return []Trace{{Path: e.Package.Events.Dir + "/" + e.File + ".go"}} }

// Declared is the file that declares the message.
func (e *Event) Declared() string { return e.proto }

func (e *Event) String() string { return "event " + e.FullName }

// Place knows {method} and {contract}, and what the service knows.
func (m *Method) Place(placeholder string) string {
	switch placeholder {
	case "method":
		return m.File
	case "contract":
		return m.TestFile
	}
	return m.Service.Place(placeholder)
}

// Variant is the RPC's kind, or that of its skeleton.
func (m *Method) Variant(yours bool) string {
	if yours {
		return string(m.Skeleton())
	}
	return string(m.Kind)
}

// Traces are the RPC's line in the client of its service, and its part of the
// contract.
func (m *Method) Traces() []Trace {
	return []Trace{
		{Path: m.Service.client(), Text: fmt.Sprintf("{Name: %q", m.ProtoName)},
		{Path: m.Service.Package.Test.Dir + "/" + m.TestFile + ".go"},
	}
}

// Declared is the file that declares the service.
func (m *Method) Declared() string { return m.Service.proto }

func (m *Method) String() string { return "rpc " + m.Service.FullName + "." + m.ProtoName }

func variant(usesEvents bool) string {
	if usesEvents {
		return withEvents
	}
	return plain
}
