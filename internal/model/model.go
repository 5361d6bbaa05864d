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

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Module is the Go module that is generated into, and everything that one run
// generates from.
type Module struct {
	Path    string   // its module path, as in go.mod
	Go      string   // the minor version of Go with which it is built at least: "1.26"
	Runtime string   // import path of the runtime: a folder of the module, or elsewhere
	Copied  bool     // whether the runtime is copied into the module
	Engines []string // of the event log, besides memory: folders of the runtime's eventlog
	// Parts are those of [Parts] that the main of a new server has.
	Parts []string
	// OneProgram is the name of the program that serves all packages; "" if there is
	// one for each proto package.
	OneProgram string
	// NoPrograms leaves the programs out: mains of the user's serve the services.
	NoPrograms bool
	// NoDeploy leaves out what deploys the programs.
	NoDeploy bool
	Packages []*Package // in the order of their import paths
	Programs []*Program // in the order of their packages

	protos Protos
}

// Parts are what the main of a server may leave out: HTTP beside gRPC, metrics, traces, queries
// of the event log in SQL, its backups and copies, lanes for many calls, and the console; and
// the main of a client: what it has besides a command for each RPC.
var Parts = []string{"http", "metrics", "traces", "sql", "backup", "bulk", "console", "client"}

// Has reports whether the main of a new server has a part.
func (m *Module) Has(part string) bool { return slices.Contains(m.Parts, part) }

// EventCommands returns the subcommands of "events" that the main of a new server has besides
// those which every one has, by their names in Go.
func (m *Module) EventCommands() (names []string) {
	if m.Has("sql") {
		names = append(names, "operate.SQL")
	}
	if m.Has("backup") {
		names = append(names, "operate.Backup")
	}
	return names
}

// Services returns the services of all packages.
func (m *Module) Services() (all []*Service) {
	for _, pkg := range m.Packages {
		all = append(all, pkg.Services...)
	}
	return all
}

// EventTypes returns the event types of all packages.
func (m *Module) EventTypes() (all []*Event) {
	for _, pkg := range m.Packages {
		all = append(all, pkg.EventTypes...)
	}
	return all
}

// UsesEvents reports whether an RPC of the module takes or reads events.
func (m *Module) UsesEvents() bool {
	return slices.ContainsFunc(m.Packages, (*Package).UsesEvents)
}

// Program is a server and its client: one for each proto package, its versions
// taken together, or one for all packages of a run.
type Program struct {
	Module   *Module // that it is of
	Name     string  // "receiver" for cmd/receiver-server and cmd/receiver-client
	Packages []*Package
}

// UsesEvents reports whether an RPC that the program serves takes or reads events.
func (p *Program) UsesEvents() bool {
	return slices.ContainsFunc(p.Packages, (*Package).UsesEvents)
}

// Replicated reports whether the program's events can be in NATS JetStream, and not
// only in a file beside the server.
func (p *Program) Replicated() bool {
	return p.UsesEvents() && slices.Contains(p.Module.Engines, "nats")
}

// Consumers returns the names of the consumers that the server's main runs.
func (p *Program) Consumers() (names []string) {
	for _, pkg := range p.Packages {
		for _, service := range pkg.Services {
			if service.Code.Runs() {
				names = append(names, service.FullName)
			}
		}
	}
	return names
}

// Streams returns the names of the RPCs that stream, each once and in order.
func (p *Program) Streams() (names []string) {
	for _, pkg := range p.Packages {
		for _, method := range pkg.Methods() {
			if method.Streams() != "" {
				names = append(names, method.ProtoName)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Capitals returns its name as environment variables and streams of NATS have it:
// "RECEIVER".
func (p *Program) Capitals() string {
	return strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_"))
}

// Engines returns the import path of a package that main has to import for the
// engines of the event log, "" if it imports one anyway: an events package, which
// it uses for a service that takes the log.
func (p *Program) Engines() string {
	engines := ""
	for _, pkg := range p.Packages {
		if !pkg.UsesEvents() {
			continue
		}
		engines = pkg.Events.Path
		if slices.ContainsFunc(pkg.Services, func(s *Service) bool { return s.Code.New != "" && s.Code.TakesLog }) {
			return ""
		}
	}
	return engines
}

// GoPackage is a Go package of the module or of another one.
type GoPackage struct {
	Path string // import path
	Name string
	Dir  string // below the module's root, with slashes; "" in another module
}

func (p GoPackage) String() string { return p.Path }

// Package is a Go package of messages and services, and what is generated for it.
type Package struct {
	Program   *Program
	Proto     string    // the proto package; may be empty
	Base      string    // what the role packages are named after: "receiver" for receiverpb
	Messages  GoPackage // of protoc-gen-go and protoc-gen-go-grpc
	Client    GoPackage // dials a server of the services
	Server    GoPackage // registers implementations with a server
	Events    GoPackage // the log of the event types
	Publisher GoPackage // stores events on the machine of a client, and sends them
	Test      GoPackage // runs a server in process, and tests it by its contract
	Services  []*Service
	// EventTypes are the messages that the services take as events, or read.
	EventTypes []*Event
	// Publishes reports whether the package Publisher is made: code imports it, or all are.
	Publishes bool

	program string // name of its program
	dir     string // of what is generated for it
}

// UsesEvents reports whether an RPC of the package takes or reads events.
func (p *Package) UsesEvents() bool { return len(p.EventTypes) > 0 }

// Methods returns the RPCs of all services of the package.
func (p *Package) Methods() (all []*Method) {
	for _, service := range p.Services {
		all = append(all, service.Methods...)
	}
	return all
}

// Service is a service of a proto.
type Service struct {
	Package    *Package
	Name       string // as Go spells it: "Receiver"
	FullName   string // as protobuf spells it: "shop.v1.Receiver"
	File       string // base name of its generated files: "receiver"
	Commands   string // base name of the file with its subcommands: "receiver_commands"
	Func       string // name of the function that serves it: "Receiver"
	Accessor   string // name of the method that calls it: "Receiver"
	Variable   string // what main calls its implementation: "receiverService"
	Fake       string // base name of the file with its fake: "receiver_fake"
	Doc        string // its comment in the proto
	Deprecated bool
	// Code is what the user calls things in the package of its implementation.
	Code    Code
	Methods []*Method

	impl   GoPackage
	proto  string // the file that declares it
	desc   protoreflect.ServiceDescriptor
	hasLog bool // whether it has the log though no RPC takes or reads events
}

// Impl returns the package of its implementation, which the user owns.
func (s *Service) Impl() GoPackage {
	return GoPackage{Path: s.impl.Path, Name: s.Code.Package, Dir: s.impl.Dir}
}

// UsesEvents reports whether an RPC of the service takes or reads events.
func (s *Service) UsesEvents() bool {
	return s.hasLog || slices.ContainsFunc(s.Methods, func(m *Method) bool { return m.Event != nil })
}

// TakesEvents reports whether an RPC of the service takes events.
func (s *Service) TakesEvents() bool {
	return slices.ContainsFunc(s.Methods, (*Method).TakesEvents)
}

// Takes returns the types of events that the service takes.
func (s *Service) Takes() (types []*Event) {
	for _, method := range s.Methods {
		if method.TakesEvents() && !slices.Contains(types, method.Event) {
			types = append(types, method.Event)
		}
	}
	return types
}

// Intakes returns, for each type of event that the service takes, the first RPC that does.
func (s *Service) Intakes() (methods []*Method) {
	for _, event := range s.Takes() {
		i := slices.IndexFunc(s.Methods, func(m *Method) bool { return m.TakesEvents() && m.Event == event })
		methods = append(methods, s.Methods[i])
	}
	return methods
}

// ConsumeName returns the name of the method that handles stored events, which
// no RPC has.
func (s *Service) ConsumeName() string {
	name := "Consume"
	for slices.ContainsFunc(s.Methods, func(m *Method) bool { return m.Name == name }) {
		name += "Events"
	}
	return name
}

// WithIDs returns the name of the client that gives events their ids.
func (s *Service) WithIDs() string { return lower(s.Name) + "WithIDs" }

func lower(name string) string {
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(first)) + name[size:]
}

// RulesName returns the name of the variable with the rules of its requests.
func (s *Service) RulesName() string { return lower(s.Name) + "Rules" }

// Ruled returns the requests of the service's RPCs, if any of them must keep rules of
// protovalidate.
func (s *Service) Ruled() (requests []*Message) {
	if !slices.ContainsFunc(s.Methods, func(m *Method) bool { return m.Rules }) {
		return nil
	}
	for _, method := range s.Methods {
		if !slices.Contains(requests, method.Input) {
			requests = append(requests, method.Input)
		}
	}
	return requests
}

// Kind is the shape of an RPC; each has templates of its own.
type Kind string

// The kinds of RPC. Those that have nothing to do with events are for the user
// to write.
const (
	UnaryEvent        Kind = "unary-event"         // takes an event and answers it
	UnaryBatch        Kind = "unary-batch"         // takes many at once and answers them together
	ClientStreamEvent Kind = "client-stream-event" // takes events as they come and answers them in the end
	BidiEvent         Kind = "bidi-event"          // takes events as they come and answers each
	Tail              Kind = "tail"                // reads the log and follows it

	Unary        Kind = "unary"         // takes a request and answers it
	ClientStream Kind = "client-stream" // takes a stream of requests and answers them in the end
	ServerStream Kind = "server-stream" // takes a request and answers with a stream
	Bidi         Kind = "bidi"          // streams both ways
)

// Kinds are all of them.
var Kinds = []Kind{UnaryEvent, UnaryBatch, ClientStreamEvent, BidiEvent, Tail, Unary, ClientStream, ServerStream, Bidi}

// Method is an RPC.
type Method struct {
	Service    *Service
	Kind       Kind
	Why        string // why it is of that kind, in words
	At         string // where it is declared: file:line:column
	Name       string // as Go spells it: "Receive"
	ProtoName  string // as the proto spells it: "receive"
	File       string // base name of its files: "receive"
	TestName   string // name of its test: "TestReceive"
	Fake       string // name of its field in the fake of the service: "OnReceive"
	TestFile   string // base name of the file with its part of the contract
	Command    string // its subcommand: "receive"
	Doc        string // its comment in the proto
	Deprecated bool
	// Retry is true if a second try does no harm.
	Retry  bool
	Input  *Message
	Output *Message
	Rules  bool   // whether a request must keep rules of protovalidate
	Event  *Event // the event that it takes or reads; nil for none
	// Holder is the field of Input that holds the event, or of Output for a
	// tail; nil if the message itself is the event.
	Holder *Field
	Reply  Reply
	From   From

	dropped []string // fields beside the holder, which are not stored
	desc    protoreflect.MethodDescriptor
	near    *near // why it is not one that takes events, though something says so
}

// FuzzName returns the name of its fuzz test: "FuzzReceive".
func (m *Method) FuzzName() string { return "Fuzz" + strings.TrimPrefix(m.TestName, "Test") }

// BenchmarkName returns the name of its benchmark: "BenchmarkReceive".
func (m *Method) BenchmarkName() string { return "Benchmark" + strings.TrimPrefix(m.TestName, "Test") }

// Written reports whether the user's code has the RPC already.
func (m *Method) Written() bool { return slices.Contains(m.Service.Code.Written, m.Name) }

// TakesEvents reports whether the RPC takes events.
func (m *Method) TakesEvents() bool { return m.Event != nil && m.Kind != Tail }

// Tails reports whether the RPC sends the events of the log.
func (m *Method) Tails() bool { return m.Kind == Tail }

// Many reports whether a request holds any number of events.
func (m *Method) Many() bool { return m.Holder != nil && m.Holder.List }

// NeedsEventID reports whether the client's command has a flag for the id that comes
// with a call: the RPC takes events, of which some may have no id of their own, and no
// field of the request has that flag.
func (m *Method) NeedsEventID() bool {
	return m.TakesEvents() && !slices.ContainsFunc(m.Input.Fields, func(f *Field) bool { return f.Flag == eventID })
}

// ReadsEvents reports whether the client's command reads events from the standard
// input and calls the RPC for each, or for batches of them if there are [Method.Many].
func (m *Method) ReadsEvents() bool { return m.TakesEvents() && m.Streams() == "" }

// IDField returns the path of the field with the event's id, in a request or an element of
// its batch: "event.event_id". It is "" if no field has it.
func (m *Method) IDField() string {
	switch {
	case !m.TakesEvents() || m.Event.ID == nil || strings.Contains(m.Event.ID.Path(), "["):
		return ""
	case m.Holder == nil || m.Many():
		return m.Event.ID.Path()
	}
	return m.Holder.ProtoName + "." + m.Event.ID.Path()
}

// Param names the request, or what comes in a stream of them.
func (m *Method) Param() string {
	if m.TakesEvents() && m.Holder == nil {
		return "event"
	}
	return "request"
}

// Given returns the Go expression for the events of a request, as arguments of
// a call.
func (m *Method) Given() string {
	switch {
	case m.Holder == nil:
		return m.Param()
	case m.Many():
		return m.Param() + "." + m.Holder.Getter + "()..."
	default:
		return m.Param() + "." + m.Holder.Getter + "()"
	}
}

// Comment returns the text of the doc comment of its skeleton: what the proto says of the
// RPC or, if it says nothing, what the skeleton does: "Receive stores the event.". Then
// come the fields of the request that the skeleton ignores.
func (m *Method) Comment(does string) string {
	text, before := m.Doc, "\n\n"+m.Name
	if text == "" {
		text, before = m.Name+" "+does, " It"
	} else if says, ok := strings.CutPrefix(text, m.ProtoName+" "); ok {
		text = m.Name + " " + says
	}
	if ignored := m.Ignored(); len(ignored) > 0 {
		names := make([]string, len(ignored))
		for i, field := range ignored {
			names[i] = "request." + field.Name
		}
		that := "that"
		if len(names) > 1 {
			that = "those"
		}
		text += fmt.Sprintf("%s ignores %s: write what %s should do.", before, list(names), that)
	}
	if m.Deprecated {
		text += "\n\nDeprecated: the proto says so."
	}
	return text
}

// Greeting returns the Go expression for the message that answers an event. That of
// the demo, whose events say xwho they are about, greets whoever that is.
func (m *Method) Greeting() string {
	if m.Event == nil || m.Event.Subject == nil || m.Event.Subject.ProtoName != "xwho" || m.Event.Subject.Text != Plain {
		return `"stored"`
	}
	return fmt.Sprintf(`"Hello, " + %s + "!"`, m.Event.Subject.Get(m.Given()))
}

// Streams returns which side streams: "client", "server", "both" or "".
func (m *Method) Streams() string {
	switch m.Kind {
	case ClientStream, ClientStreamEvent:
		return "client"
	case ServerStream, Tail:
		return "server"
	case Bidi, BidiEvent:
		return "both"
	}
	return ""
}

// Summary returns one sentence about what the RPC does: the first of its comment,
// or one made from its types.
func (m *Method) Summary() string {
	paragraph, _, _ := strings.Cut(m.Doc, "\n\n")
	text := strings.Join(strings.Fields(paragraph), " ")
	if first, _, more := strings.Cut(text, ". "); more {
		return first + "."
	}
	sends, prints := article(m.Input.Name), "the "+m.Output.Name
	if m.Streams() == "client" || m.Streams() == "both" {
		sends = m.Input.Name + " messages"
	}
	if m.Streams() == "server" || m.Streams() == "both" {
		prints = "each " + m.Output.Name
	}
	return cmp.Or(text, fmt.Sprintf("Sends %s to %s and prints %s.", sends, m.Service.Name, prints))
}

func article(noun string) string {
	if strings.ContainsRune("AEIOU", []rune(noun)[0]) {
		return "an " + noun
	}
	return "a " + noun
}

// From is where a tail begins, by the fields of its request. One that it does
// not have is nil.
type From struct {
	Position *Field // after this position: an integer called after, position, after_position or from_position
	Time     *Field // with what was stored since: a Timestamp called since, from, from_time or start_time
}

// Words returns where the tail begins: " after the requested position".
func (f From) Words() string {
	switch {
	case f.Time != nil && f.Position != nil:
		return " since the requested time, or after the requested position"
	case f.Time != nil:
		return " since the requested time"
	case f.Position != nil:
		return " after the requested position"
	}
	return ""
}

// Message is a message type.
type Message struct {
	Name     string // as Go spells it: "Event"
	FullName string // as protobuf spells it: "shop.v1.Event"
	Doc      string // its comment in the proto
	Go       GoPackage
	Fields   []*Field
	// Built reports whether protoc-gen-go makes a builder for it: it has the opaque
	// or the hybrid API, or will have.
	Built bool
}

func (m *Message) String() string { return m.FullName }

// Field is a field of a message.
type Field struct {
	Name      string // as Go spells it in a literal of the message or its builder: "Xwho"
	Number    int    // that identifies it on the wire
	ProtoName string // as the proto spells it: "xwho"
	JSONName  string // as JSON spells it: "xwho"
	Kind      string // of its value: "string", "int32", "enum", "message"; of a map "map"
	ProtoType string // as protobuf spells it: "string", "shop.v1.Item", "map<string, int32>"; without "repeated"
	Getter    string // the method that reads it: "GetXwho"
	Flag      string // its flag on the command line: "xwho"
	Doc       string // its comment in the proto, on one line
	GoType    string // of a singular scalar: "int32"; "" for any other
	List      bool   // whether it is repeated, and not a map
	Optional  bool   // whether it is a singular scalar, outside a oneof, that Go holds by a pointer
	Text      Text   // how its value becomes text
}

func (f *Field) String() string { return f.ProtoName }

// Text says how the value of a field becomes text.
type Text string

// The ways.
const (
	Plain   Text = "plain"  // it is text
	Number  Text = "number" // by eventlog.Number
	Named   Text = "named"  // by its method String: an enum
	NotText Text = ""       // not at all
)

// Expr returns the Go expression for the field's value as text, in a message of the
// given name.
func (f *Field) Expr(message string) string {
	value := message + "." + f.Getter + "()"
	switch f.Text {
	case Number:
		return "eventlog.Number(" + value + ")"
	case Named:
		return value + ".String()"
	}
	return value
}

// Event is a message type that carries events, and which of its fields are
// which attributes of a CloudEvent. A role that no field fills is nil.
type Event struct {
	*Message
	Package *Package
	Title   string // what the log's methods for it are named after: "Event" for AppendEvent
	File    string // base name of its generated files: "event"
	Why     string // why it is an event, in words
	At      string // where it is declared: file:line:column
	ID      *Role
	Source  *Role
	Type    *Role
	Subject *Role
	Time    *Time
	Data    *Role
	Was     []string // full names that it had before, under which events are stored
	// Kept are versions of the message that the repository keeps, as texts that a Go literal
	// between backquotes can have. The last is the present one, unless that would misread
	// events of another.
	Kept []string

	proto string // the file that declares it
	desc  protoreflect.MessageDescriptor
}

// Role is a field that is an attribute of a CloudEvent: one of the event, or of a
// message in it.
type Role struct {
	*Field
	Why string // by name, or by comment

	path     string // that leads to it from the event; "" for a field of the event
	through  string // Go for that, without the last step: ".GetUser()"
	fullName protoreflect.FullName
}

// Path names the field, from the event: "source", or "user.id" for a field of a
// message in it.
func (r *Role) Path() string { return cmp.Or(r.path, r.ProtoName) }

// Get returns the Go expression for the field's value, in an event of the given name.
func (r *Role) Get(event string) string { return event + r.through + "." + r.Getter + "()" }

// Expr returns the Go expression for the field's value as text, in an event of the
// given name.
func (r *Role) Expr(event string) string { return r.Field.Expr(event + r.through) }

// SourceOf returns the Go expression for the source of the event that another Go
// expression has.
func (e *Event) SourceOf(event string) string {
	if e.Source == nil {
		return `""`
	}
	return e.Source.Expr(event)
}

// Attributes returns what holds the attributes of a CloudEvent in what the RPC takes, as
// elements of a Go literal of the runtime's server.Fields: `Source: "appid"`.
func (m *Method) Attributes() (all []string) {
	add := func(name string, role *Role) {
		if role != nil && !strings.Contains(role.Path(), "[") { // the runtime knows the message that has a map
			all = append(all, fmt.Sprintf("%s: %q", name, role.Path()))
		}
	}
	if m.Holder != nil {
		add("Holder", &Role{Field: m.Holder})
	}
	add("ID", m.Event.ID)
	add("Source", m.Event.Source)
	add("Type", m.Event.Type)
	add("Subject", m.Event.Subject)
	if when := m.Event.Time; when != nil {
		add("Time", &when.Role)
		if when.Unit != "" {
			all = append(all, "Unit: "+when.Unit)
		}
	}
	add("Data", m.Event.Data)
	for _, name := range attributesNames {
		for _, field := range m.Event.Fields {
			if field.ProtoName == name && field.ProtoType == "map<string, string>" {
				return append(all, fmt.Sprintf("Attributes: %q", name))
			}
		}
	}
	return all
}

// PublisherRPC returns what a publisher has to know of the RPC, as elements of a Go literal
// of the runtime's publisher.RPC.
func (m *Method) PublisherRPC() []string {
	all := []string{fmt.Sprintf("Name: %q", "/"+m.Service.FullName+"/"+m.ProtoName)}
	if streams := m.Streams(); streams != "" {
		all = append(all, fmt.Sprintf("Streams: %q", streams))
	}
	if m.Holder != nil {
		all = append(all, fmt.Sprintf("Holder: %d", m.Holder.Number))
	}
	if m.Many() {
		all = append(all, "Many: true")
	}
	if id := m.Event.ID; id != nil && id.path == "" && id.Kind == "string" {
		all = append(all, fmt.Sprintf("ID: %d", id.Number))
	}
	if stored := m.Reply.Duplicate; stored != nil && stored.Kind == "bool" && !stored.List {
		all = append(all, fmt.Sprintf("Duplicate: %d", stored.Number))
	}
	return all
}

// PublisherAttributes returns what a publisher has to know of an event, as elements of a Go
// literal of the runtime's publisher.Attributes.
func (e *Event) PublisherAttributes() (all []string) {
	for _, one := range []struct {
		name string
		role *Role
	}{{"ID", e.ID}, {"Source", e.Source}, {"Type", e.Type}, {"Subject", e.Subject}} {
		if one.role != nil {
			all = append(all, one.name+": "+one.role.Expr("event"))
		}
	}
	return all
}

// InOneForm reports whether events of the type are stored in one form, however they came.
func (e *Event) InOneForm() bool { return isCloudEvent(e.desc) }

// Time is the field that says when an event happened.
type Time struct {
	Role
	// Unit is the time.Duration of one step of an integer field, as Go spells
	// it: "time.Second". It is empty for a google.protobuf.Timestamp.
	Unit string
}

// Unique returns the full name of the field that identifies an event; "" if it has
// none.
func (e *Event) Unique() string {
	if e.ID == nil {
		return ""
	}
	return string(e.ID.fullName)
}

// Identity returns in words what identifies an event: "source (appid) and id (sent
// with the call)".
func (e *Event) Identity() string {
	id := "id (sent with the call)"
	if e.ID != nil {
		id = fmt.Sprintf("id (%s, or if that is empty, the id sent with the call)", e.ID.Path())
	}
	if e.Source != nil {
		return fmt.Sprintf("source (%s) and %s", e.Source.Path(), id)
	}
	return id
}

// Identifying lists the proto names of the event's own fields that identify it.
func (e *Event) Identifying() (names []string) {
	for _, role := range []*Role{e.Source, e.ID} {
		if role != nil && role.path == "" {
			names = append(names, role.ProtoName)
		}
	}
	return names
}

// sub returns a package in a folder below the module's root.
func (m *Module) sub(dir, name string) GoPackage {
	return GoPackage{Path: path.Join(m.Path, dir), Name: name, Dir: dir}
}

// dir returns the folder of an import path below the module's root; found is false
// if it lies in another module.
func (m *Module) dir(importPath string) (dir string, found bool) {
	if importPath == m.Path {
		return ".", true
	}
	return strings.CutPrefix(importPath, m.Path+"/")
}
