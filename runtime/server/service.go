package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Option is a [Service] to serve, a service to start [Without], a function to
// run [Alongside], a check that the server [Needs], files to [Watch], or what the server
// adds to its own: [UnaryInterceptors], [StreamInterceptors], [StatsHandlers], [Guards],
// [Observers], [Ports], a [Page], a [Logger], [Credentials], [GRPCOptions]. [Options] makes
// one of several.
type Option interface{ apply(*services) }

type option func(*services)

func (o option) apply(all *services) { o(all) }

// Options returns an option that adds what the given ones add, in their order.
func Options(options ...Option) Option {
	return option(func(all *services) {
		for _, option := range options {
			option.apply(all)
		}
	})
}

// Invalid returns an option by which [Run] and [Listen] return an error. It is for
// functions that make options from a configuration.
func Invalid(err error) Option {
	return option(func(all *services) { all.invalid = append(all.invalid, err) })
}

// Service is a gRPC service and its implementation. Any service of gRPC can be one:
// what protoc-gen-go-grpc generates has the variable ServiceDesc of each.
type Service struct {
	Desc *grpc.ServiceDesc
	Impl any // implements Desc.HandlerType
	// RPCs is what guards know about RPCs, by their names in the proto. Generated code
	// fills it in.
	RPCs map[string]RPC
	// Rules makes the check of the service's requests, or says why it can't: then the
	// server doesn't start. The check returns why a request is invalid, as an error with
	// a code. The server calls it after the guards and before the method. If Rules is
	// nil, all requests are valid.
	Rules func() (check func(request proto.Message) error, err error)

	check func(request proto.Message) error // what Rules made
}

// RPC is what guards know about an RPC.
type RPC struct {
	// Sources calls each with the source of each event in a request, in order, and
	// stops with its first error, which it returns. It is nil if the RPC takes no
	// events.
	Sources func(request any, each func(source string) error) error
	// Tails is true if the RPC sends stored events, of all sources.
	Tails bool
	// Fields are those that hold the attributes of a CloudEvent, which package web takes.
	Fields *Fields // nil if the RPC takes no events
}

// Fields are the fields of an event that hold the attributes of a CloudEvent, by their
// names in the proto: "source", or "user.id" for one in a message in it. An attribute for
// which there is none has "".
type Fields struct {
	Holder                                string // the field of a request that has the event, or a list of them; "" if the request is the event
	ID, Source, Type, Subject, Time, Data string
	Unit                                  time.Duration // of an integer that holds the time
	Attributes                            string        // the map of all other attributes, by their names, to strings
}

func (s Service) apply(all *services) { all.served = append(all.served, s) }

// Without lets the server start without a service that its proto package
// declares. The name is the full one, such as "shop.v1.Orders". Calls of that
// service get Unimplemented.
func Without(name string) Option { return without(name) }

type without string

func (w without) apply(all *services) { all.without = append(all.without, string(w)) }

type services struct {
	served      []Service
	without     []string
	alongside   companions // nil for none
	watches     []watch
	unary       []grpc.UnaryServerInterceptor
	stream      []grpc.StreamServerInterceptor
	stats       []stats.Handler
	guards      []Guard
	observer    observer
	ports       otherPorts                                                  // nil for none
	keep        func(context.Context, *gate, error)                         // nil for none
	lanes       func(*Server, Service, *grpc.ServiceDesc) *grpc.ServiceDesc // adds them; nil for none
	invalid     []error
	log         *slog.Logger                     // nil for the one that the configuration describes
	credentials credentials.TransportCredentials // nil for the same reason
	grpc        []grpc.ServerOption
	checkGRPC   func([]grpc.ServerOption) error
}

func collect(options []Option) (*services, error) {
	all := &services{observer: unobserved{}, checkGRPC: func([]grpc.ServerOption) error { return nil }}
	for _, option := range options {
		option.apply(all)
	}
	if len(all.invalid) > 0 {
		return nil, errors.Join(all.invalid...)
	}
	if len(all.served) == 0 {
		return nil, errors.New("there is no service to serve: pass at least one")
	}
	served := map[string]bool{}
	for i, service := range all.served {
		name := service.Desc.ServiceName
		switch {
		case service.Impl == nil:
			return nil, fmt.Errorf("service %s has a nil implementation", name)
		case served[name]:
			return nil, fmt.Errorf("service %s is given twice: pass one implementation", name)
		}
		served[name] = true
		if service.Rules != nil {
			check, err := service.Rules()
			if err != nil {
				return nil, fmt.Errorf("service %s: %w", name, err)
			}
			all.served[i].check = check
		}
	}
	if all.alongside != nil {
		return all, all.alongside.check(served)
	}
	return all, nil
}

// checkComplete returns an error if a proto package of the served services
// declares one that is neither served nor left out on purpose.
func (all *services) checkComplete() error {
	var missing, named []string
	for _, service := range all.served {
		named = append(named, service.Desc.ServiceName)
	}
	named = append(named, all.without...)
	for _, service := range all.served {
		for _, name := range siblings(service.Desc.ServiceName) {
			if !slices.Contains(named, name) {
				missing, named = append(missing, name), append(named, name)
			}
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("no implementation is served for %s: pass one for each to server.Run, or leave it out with server.Without(%q)",
			strings.Join(missing, ", "), missing[0])
	}
	return nil
}

// siblings returns the names of the services in the same proto package and the
// same Go package as the named one, itself included.
func siblings(name string) (names []string) {
	service, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil // registered by hand, without a proto
	}
	file := service.ParentFile()
	protoregistry.GlobalFiles.RangeFilesByPackage(file.Package(), func(other protoreflect.FileDescriptor) bool {
		if goPackage(other) == goPackage(file) {
			for i := range other.Services().Len() {
				names = append(names, string(other.Services().Get(i).FullName()))
			}
		}
		return true
	})
	return names
}

func goPackage(file protoreflect.FileDescriptor) string {
	options, ok := file.Options().(*descriptorpb.FileOptions)
	if !ok {
		return ""
	}
	return options.GetGoPackage()
}
