package model

import "strings"

// Code has the names that the implementation of a service, and its parts, have in
// the user's code. It is the one part of the model that depends on what is on disk, not on the protos:
// [Build] fills in what our templates call it, and package keep sets it to what
// its owner calls it. Package keep does so before a template is chosen, and again
// when it knows which files of the service's own the run adds, before it renders
// those that join or call them.
type Code struct {
	Package  string   // name of the package: "receiver"
	Type     string   // of the implementation, with its type parameters: "Service"
	Pointer  bool     // whether methods have a pointer to it
	Self     string   // what methods call it: "s"
	Field    string   // its field of type *…events.Log: "events"; "" if it has none
	New      string   // the function that makes it: "New"; "" if main can't call it
	Made     string   // what that function returns: "*Service"; "" for the interface of protoc-gen-go-grpc
	TakesLog bool     // whether that function takes the log
	Consumes bool     // whether it has the method that handles stored events
	Consumer string   // the expression for the name of its consumer: "consumerName", or a text in quotes
	Written  []string // the RPCs that it has already, as Go spells them
}

// ConsumerName is the constant for the name of a consumer in our templates.
const ConsumerName = "consumerName"

// CodeOfTemplates returns what our templates call the implementation of a service.
func CodeOfTemplates(s *Service) Code {
	code := Code{Package: s.impl.Name, Type: "Service", Pointer: true, Self: "s", New: "New", Made: "*Service", TakesLog: s.UsesEvents(), Consumes: s.TakesEvents(), Consumer: ConsumerName}
	if s.UsesEvents() {
		code.Field = "events"
	}
	return code
}

func (c Code) String() string { return c.Type }

// Receiver returns the receiver of a method of the implementation: "s *Service".
func (c Code) Receiver() string {
	if c.Pointer {
		return c.Self + " *" + c.Type
	}
	return c.Self + " " + c.Type
}

// Runs reports whether main can run the method that handles stored events: the
// interface does not have it.
func (c Code) Runs() bool { return c.Consumes && c.New != "" && c.Made != "" }

// Events returns the Go expression for the event log within a method: "s.events".
func (c Code) Events() string { return c.Self + "." + c.Field }

// withoutEvents returns the kind of an RPC that its owner has to write alone.
func (k Kind) withoutEvents() Kind {
	switch k {
	case UnaryEvent, UnaryBatch:
		return Unary
	case ClientStreamEvent:
		return ClientStream
	case Tail:
		return ServerStream
	case BidiEvent:
		return Bidi
	}
	return k
}

// Skeleton returns the kind of an RPC by which its skeleton is written: one that
// takes events is for its owner to write if the implementation has no log.
func (m *Method) Skeleton() Kind {
	if m.Service.Code.Field == "" {
		return m.Kind.withoutEvents()
	}
	return m.Kind
}

// Signature returns what a method that implements the RPC takes and returns, each
// type with the import path of its package: "(context.Context,
// *example.com/shop/gen/shopv1.Event) (*example.com/shop/gen/shopv1.Reply, error)".
// A stream may also be spelled by its generic type; both are returned.
func (m *Method) Signature() []string {
	in, out := m.Input.Go.Path+"."+m.Input.Name, m.Output.Go.Path+"."+m.Output.Name
	stream := m.Service.Package.Messages.Path + "." + m.Service.Name + "_" + m.Name + "Server"
	const grpc = "google.golang.org/grpc."
	switch m.Streams() {
	case "":
		return []string{"(context.Context, *" + in + ") (*" + out + ", error)"}
	case "client":
		return spelled("(%) error", stream, grpc+"ClientStreamingServer["+in+", "+out+"]")
	case "server":
		return spelled("(*"+in+", %) error", stream, grpc+"ServerStreamingServer["+out+"]")
	default:
		return spelled("(%) error", stream, grpc+"BidiStreamingServer["+in+", "+out+"]")
	}
}

func spelled(pattern string, names ...string) (all []string) {
	for _, name := range names {
		all = append(all, strings.Replace(pattern, "%", name, 1))
	}
	return all
}
