package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/pluginpb"
)

// Result is what came of a module.
type Result struct {
	Module   Module
	Services []*Service
	Failures []Failure
	Took     time.Duration
}

// Service is a service of a module, and how far it came.
type Service struct {
	Name      string // as protobuf spells it, with its package
	GoPackage string // import path of its package
	GoName    string
	RPCs      []RPC

	impl         string   // import path of its implementation
	packages     []string // those that the implementation, its tests or its programs are made of
	Generated    bool
	Built        bool
	Started      bool // its programs, for their help
	Vetted       bool
	TestsPassed  bool
	TestsCounted int // tests that passed, those within tests counted
}

// RPC is a method of a service.
type RPC struct {
	Name      string // as the proto spells it
	Streaming bool
	Events    string // by which fields it was taken to take events; "" if it was not
}

// Failure is something that went wrong with a module.
type Failure struct {
	Step     string   // generate, build, start, vet or test
	Package  string   // import path; "" if it is no package's
	Services []string // those that it keeps from working; all if none is named
	Text     string
}

// services lists the services that a request is about.
func services(request *pluginpb.CodeGeneratorRequest) []*Service {
	var all []*Service
	for _, file := range request.GetProtoFile() {
		if !slices.Contains(request.GetFileToGenerate(), file.GetName()) {
			continue
		}
		for _, from := range file.GetService() {
			service := &Service{
				Name:      strings.TrimPrefix(file.GetPackage()+"."+from.GetName(), "."),
				GoPackage: goPackage(request, file),
				GoName:    goName(from.GetName()),
			}
			for _, method := range from.GetMethod() {
				service.RPCs = append(service.RPCs, RPC{
					Name:      method.GetName(),
					Streaming: method.GetClientStreaming() || method.GetServerStreaming(),
				})
			}
			all = append(all, service)
		}
	}
	return all
}

// fail notes a failure of a package, and of the services that need it.
func (r *Result) fail(step, pkg, text string) {
	failure := Failure{Step: step, Package: pkg, Text: text}
	for _, service := range r.Services {
		if pkg != "" && slices.Contains(service.packages, pkg) {
			failure.Services = append(failure.Services, service.Name)
		}
	}
	r.Failures = append(r.Failures, failure)
}

// count says of how many services something is true.
func (r *Result) count(is func(*Service) bool) (n int) {
	for _, service := range r.Services {
		if is(service) {
			n++
		}
	}
	return n
}

// rpcs says of how many RPCs something is true.
func (r *Result) rpcs(is func(RPC) bool) (n int) {
	for _, service := range r.Services {
		for _, rpc := range service.RPCs {
			if is(rpc) {
				n++
			}
		}
	}
	return n
}

// String says in a few words what came of the module.
func (r *Result) String() string {
	if len(r.Failures) > 0 {
		return fmt.Sprintf("%d services, %d failures", len(r.Services), len(r.Failures))
	}
	return fmt.Sprintf("%d services", len(r.Services))
}
