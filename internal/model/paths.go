package model

import "fmt"

// Element is what a template is executed for: a [Module], [Program], [Package],
// [Service], [Event] or [Method].
type Element interface {
	// Variant says which of several templates for one path is the element's;
	// it is one of its scope's.
	Variant() string
	// Trace is what a run that knew the element has left in the files of ours.
	Trace() Trace
	// String names the element, for messages.
	String() string
}

const (
	withEvents = "events" // has to do with events, or one of its RPCs has
	plain      = "plain"  // has not
)

// The variants of the elements that have any.
var (
	withOrWithout = []string{withEvents, plain}
	kinds         = func() (all []string) {
		for _, kind := range Kinds {
			all = append(all, string(kind))
		}
		return all
	}()
)

// Trace is a file below the module's root, and what stands in it. Stars in its
// path stand for any name, as in [path.Match]: one of the files is enough.
type Trace struct{ Path, Text string }

// Variant, Trace and String make the module an [Element]. Its variant is that
// of one with events, or without.
func (m *Module) Variant() string { return variant(m.UsesEvents()) }

// Trace is the table of subcommands of any client.
func (m *Module) Trace() Trace { return Trace{Path: "cmd/*-client/commands.go"} }

func (m *Module) String() string { return "module " + m.Path }

// Variant is that of a program that has to do with events, or has not.
func (p *Program) Variant() string { return variant(p.UsesEvents()) }

// Trace is the client's table of subcommands.
func (p *Program) Trace() Trace { return Trace{Path: "cmd/" + p.Name + "-client/commands.go"} }

func (p *Program) String() string { return "program " + p.Name }

// Variant is that of a package with event types, or none.
func (p *Package) Variant() string { return variant(p.UsesEvents()) }

// Trace is the client of the package.
func (p *Package) Trace() Trace { return Trace{Path: p.Client.Dir + "/client.go"} }

func (p *Package) String() string { return "package " + p.Messages.Path }

// Variant is that of a service that has to do with events, or has not.
func (s *Service) Variant() string { return variant(s.UsesEvents()) }

// Trace is the client of the service.
func (s *Service) Trace() Trace { return Trace{Path: s.Package.Client.Dir + "/" + s.File + ".go"} }

func (s *Service) String() string { return "service " + s.FullName }

// Variant is the only one.
func (e *Event) Variant() string { return "" }

// Trace is the log of the event type.
func (e *Event) Trace() Trace { return Trace{Path: e.Package.Events.Dir + "/" + e.File + ".go"} }

func (e *Event) String() string { return "event " + e.FullName }

// Variant is the RPC's kind.
func (m *Method) Variant() string { return string(m.Kind) }

// Trace is the RPC's line in the client of its service.
func (m *Method) Trace() Trace {
	return Trace{Path: m.Service.Trace().Path, Text: fmt.Sprintf("{Name: %q", m.ProtoName)}
}

func (m *Method) String() string { return "rpc " + m.Service.FullName + "." + m.ProtoName }

func variant(usesEvents bool) string {
	if usesEvents {
		return withEvents
	}
	return plain
}
