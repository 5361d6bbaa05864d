// Package model is what the templates get to see: the services of a run, with
// every name, path and role decided once, here.
package model

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// App is everything that one run generates from.
type App struct {
	Module   Module
	Packages []*Package // in the order of their import paths
	Programs []*Program
}

// Program is a server and its client: one for each proto package, its versions
// taken together.
type Program struct {
	Module   *Module
	Name     string // "receiver" for cmd/receiver-server and cmd/receiver-client
	Packages []*Package
}

// TakesEvents reports whether an RPC that the program serves takes events.
func (p *Program) TakesEvents() bool {
	return slices.ContainsFunc(p.Packages, (*Package).TakesEvents)
}

// Module is the Go module that is generated into.
type Module struct {
	Path    string // its module path, as in go.mod
	Runtime string // import path of the runtime: a folder of the module, or elsewhere
	Copied  bool   // whether the runtime is copied into the module
}

// GoPackage is a Go package of the module or of another one.
type GoPackage struct {
	Path string // import path
	Name string
	Dir  string // below the module's root, with slashes; "" in another module
}

// Package is a Go package of messages and services, and what is generated for it.
type Package struct {
	Program  *Program
	Proto    string // the proto package; may be empty
	Base     string // what the role packages are named after: "receiver" for receiverpb
	Messages GoPackage
	Client   GoPackage
	Server   GoPackage
	Events   GoPackage
	Test     GoPackage
	Services []*Service
	// EventTypes are the messages that the services take as events.
	EventTypes []*Event

	program string // name of its program
	dir     string // of what is generated for it
}

// TakesEvents reports whether an RPC of the package takes events.
func (p *Package) TakesEvents() bool { return len(p.EventTypes) > 0 }

// Service is a service of a proto.
type Service struct {
	Package  *Package
	Name     string // as Go spells it: "Receiver"
	FullName string // as protobuf spells it: "shop.v1.Receiver"
	File     string // base name of its generated files: "receiver"
	Doc      string // its comment in the proto
	// Impl is the package of its implementation, which the user owns.
	Impl    GoPackage
	Methods []*Method
}

// TakesEvents reports whether an RPC of the service takes events.
func (s *Service) TakesEvents() bool {
	return slices.ContainsFunc(s.Methods, func(m *Method) bool { return m.Event != nil })
}

// WithIDs is the name of the client that gives events their ids.
func (s *Service) WithIDs() string {
	first, size := utf8.DecodeRuneInString(s.Name)
	return string(unicode.ToLower(first)) + s.Name[size:] + "WithIDs"
}

// Kind is the shape of an RPC; each has templates of its own.
type Kind string

// The kinds of RPC.
const (
	UnaryEvent Kind = "unary-event" // takes one event, which is its request
	Unary      Kind = "unary"       // takes one request that is no event
)

// Method is an RPC.
type Method struct {
	Service    *Service
	Kind       Kind
	Name       string // as Go spells it: "Receive"
	ProtoName  string // as the proto spells it: "receive"
	File       string // base name of its files: "receive"
	Command    string // its subcommand: "receive"
	Doc        string // its comment in the proto
	Deprecated bool
	// Retry is true if a second try does no harm.
	Retry  bool
	Input  *Message
	Output *Message
	Event  *Event // the event it takes; nil if it takes none
	// Message is the field of Output that a person may read; nil if it has none.
	Message *Field
}

// Summary says what the RPC does in one sentence: the first of its comment, or
// what its types tell.
func (m *Method) Summary() string {
	paragraph, _, _ := strings.Cut(m.Doc, "\n\n")
	text := strings.Join(strings.Fields(paragraph), " ")
	if first, _, more := strings.Cut(text, ". "); more {
		return first + "."
	}
	return cmp.Or(text, fmt.Sprintf("Sends %s to %s and prints the %s.", article(m.Input.Name), m.Service.Name, m.Output.Name))
}

// NeedsEventID reports whether the RPC takes an event that has no field for its id.
func (m *Method) NeedsEventID() bool { return m.Event != nil && m.Event.ID == nil }

func article(noun string) string {
	if strings.ContainsRune("AEIOU", []rune(noun)[0]) {
		return "an " + noun
	}
	return "a " + noun
}

// Message is a message type.
type Message struct {
	Name     string // as Go spells it: "Event"
	FullName string // as protobuf spells it: "shop.v1.Event"
	Go       GoPackage
	Fields   []*Field
}

// Field is a field of a message.
type Field struct {
	Name      string // as Go spells it: "Xwho"
	ProtoName string // as the proto spells it: "xwho"
	Flag      string // its flag on the command line: "xwho"
	Doc       string // its comment in the proto, on one line
}

// Event is a message type that carries events, and which of its fields are
// which attributes of a CloudEvent. A role that no field fills is nil.
type Event struct {
	*Message
	Package *Package
	File    string // base name of its generated files: "event"
	ID      *Field
	Source  *Field
	Type    *Field
	Subject *Field
	Time    *Time
	Data    *Field
}

// Time is the field that says when an event happened.
type Time struct {
	*Field
	// Unit is the time.Duration of one step of an integer field, as Go spells
	// it: "time.Second". It is empty for a google.protobuf.Timestamp.
	Unit string
}

// sub is a package in a folder below another, in the same module or not.
func (m Module) sub(dir, name string) GoPackage {
	return GoPackage{Path: path.Join(m.Path, dir), Name: name, Dir: dir}
}

// dir is the folder of an import path below the module's root; found is false
// if it lies in another module.
func (m Module) dir(importPath string) (dir string, found bool) {
	if importPath == m.Path {
		return ".", true
	}
	return strings.CutPrefix(importPath, m.Path+"/")
}
