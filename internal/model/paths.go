package model

import (
	"fmt"
	"slices"
	"strings"
)

// Element is what a template is executed for: a [Module], [Program], [Package],
// [Service], [Event], [Method] or [Project].
type Element interface {
	// Variant says which of several templates for one path is the element's; it
	// is one of its scope's, and may be another one for a file of yours, which
	// joins code of yours.
	Variant(yours bool) string
	// Traces are what a run that knew the element has left in files of ours:
	// one of them is enough to know.
	Traces() []Trace
	// Record is where a run notes, after all else, that it has written what is
	// yours for the element; its Path is "" for an element that has none.
	Record() Trace
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

// Trace is a file below the module's root, and a text in it, if that matters. Its
// path may have stars for any name, as in [path.Match]: one of the files is enough.
type Trace struct{ Path, Text string }

// RecordDir is the folder of the records of what was written of yours. protoc and
// buf write files in the order of their paths, and may be cut off: what is in this
// folder comes after all that is yours. The hyphens keep it out of the way of proto
// packages.
const RecordDir = "internal/zz-receiver-scaffold"

// record returns the record of an element in a file of that folder.
func record(file string, element Element) Trace {
	return Trace{Path: RecordDir + "/" + file + ".txt", Text: element.String()}
}

// Variant returns the variant of a module with events, or without.
func (m *Module) Variant(bool) string { return variant(m.UsesEvents()) }

// Traces returns the traces of the programs, and the table of subcommands of any
// client.
func (m *Module) Traces() []Trace {
	traces := []Trace{{Path: "cmd/*-client/commands.go"}}
	for _, program := range m.Programs {
		traces = append(traces, program.Traces()...)
	}
	return traces
}

// Record returns the record of any program.
func (m *Module) Record() Trace { return Trace{Path: RecordDir + "/program-*.txt"} }

// Makes reports whether a run on a module may make a file: not in a folder of a program
// where there are none, nor in one that deploys it where that is not wanted, nor in the
// package of a publisher that nothing imports.
func Makes(m *Module, at string) bool {
	if slices.ContainsFunc(m.Packages, func(p *Package) bool { return !p.Publishes && strings.HasPrefix(at, p.Publisher.Dir+"/") }) {
		return false
	}
	return !slices.ContainsFunc(m.Programs, func(p *Program) bool {
		return m.NoPrograms && (strings.HasPrefix(at, p.ServerDir()+"/") || strings.HasPrefix(at, p.ClientDir()+"/")) ||
			m.NoDeploy && strings.HasPrefix(at, p.DeployDir()+"/")
	})
}

// Declared returns "".
func (m *Module) Declared() string { return "" }

func (m *Module) String() string { return "module " + m.Path }

// Variant returns the variant of a program with events, or without.
func (p *Program) Variant(bool) string { return variant(p.UsesEvents()) }

// Traces returns the client's table of subcommands, where the server's main calls what
// serves a package, and the clients of the services: both mains may have been deleted.
func (p *Program) Traces() []Trace {
	traces := []Trace{{Path: p.ClientDir() + "/commands.go"}}
	for _, pkg := range p.Packages {
		traces = append(traces, Trace{Path: p.ServerDir() + "/*.go", Text: fmt.Sprintf("%q", pkg.Server.Path)})
		for _, service := range pkg.Services {
			// The name of the program comes from the proto package, or the file.
			traces = append(traces, Trace{Path: service.client(), Text: "source: " + service.proto + ", " + service.String() + "\n"})
		}
	}
	return traces
}

// ServerDir returns the folder of the server's main.
func (p *Program) ServerDir() string { return "cmd/" + p.Name + "-server" }

// ClientDir returns the folder of the client's main and its subcommands.
func (p *Program) ClientDir() string { return "cmd/" + p.Name + "-client" }

// DeployDir returns the folder of the files that deploy the server.
func (p *Program) DeployDir() string { return "deploy/" + p.Name + "-server" }

// Record returns the record of the program.
func (p *Program) Record() Trace { return record("program-"+p.Name, p) }

// Declared returns "".
func (p *Program) Declared() string { return "" }

func (p *Program) String() string { return "program " + p.Name }

// Variant returns the variant of a package with event types, or without.
func (p *Package) Variant(bool) string { return variant(p.UsesEvents()) }

// Traces returns the client of the package.
func (p *Package) Traces() []Trace { return []Trace{{Path: p.Client.Dir + "/client.go"}} }

// Record returns none: the package is known by its traces.
func (p *Package) Record() Trace { return Trace{} }

// Declared returns "".
func (p *Package) Declared() string { return "" }

func (p *Package) String() string { return "package " + p.Messages.Path }

// Variant returns the variant of a service with events, or without.
func (s *Service) Variant(bool) string { return variant(s.UsesEvents()) }

// Traces returns the client of the service, and its server.
func (s *Service) Traces() []Trace {
	return []Trace{
		{Path: s.client(), Text: fmt.Sprintf("Name: %q", s.FullName)},
		{Path: s.Package.Server.Dir + "/" + s.File + ".go", Text: "the service " + s.FullName + "."},
	}
}

// Contract returns the file of ours with the tests that every implementation of the
// service must pass.
func (s *Service) Contract() string { return s.Package.Test.Dir + "/" + s.File + ".go" }

func (s *Service) client() string { return s.Package.Client.Dir + "/" + s.File + ".go" }

// Record returns the record of the service.
func (s *Service) Record() Trace { return record(s.RecordFile(), s) }

// RecordFile returns the base name of the service's record. Its RPCs are there, too.
func (s *Service) RecordFile() string { return "service-" + short(s.FullName) }

// Declared returns the file that declares the service.
func (s *Service) Declared() string { return s.proto }

func (s *Service) String() string { return "service " + s.FullName }

// Variant returns "": there is one only.
func (e *Event) Variant(bool) string { return "" }

// Traces returns the log of the event type.
func (e *Event) Traces() []Trace { return []Trace{{Path: e.Package.Events.Dir + "/" + e.File + ".go"}} }

// Record returns none: the event is known by its trace.
func (e *Event) Record() Trace { return Trace{} }

// Declared returns the file that declares the message.
func (e *Event) Declared() string { return e.proto }

func (e *Event) String() string { return "event " + e.FullName }

// Variant returns the RPC's kind, or that of its skeleton.
func (m *Method) Variant(yours bool) string {
	if yours {
		return string(m.Skeleton())
	}
	return string(m.Kind)
}

// Traces returns the RPC's line in the client of its service, and its part of the
// contract.
func (m *Method) Traces() []Trace {
	return []Trace{
		{Path: m.Service.client(), Text: fmt.Sprintf("{Name: %q", m.ProtoName)},
		{Path: m.Service.Package.Test.Dir + "/" + m.TestFile + ".go"},
	}
}

// Record returns the RPC's line in the record of its service.
func (m *Method) Record() Trace { return record(m.Service.RecordFile(), m) }

// Declared returns the file that declares the service.
func (m *Method) Declared() string { return m.Service.proto }

func (m *Method) String() string { return "rpc " + m.Service.FullName + "." + m.ProtoName }

func variant(usesEvents bool) string {
	if usesEvents {
		return withEvents
	}
	return plain
}
