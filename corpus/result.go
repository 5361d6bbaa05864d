package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/pluginpb"
)

// Result is the result for a module.
type Result struct {
	Module   Module
	Services []*Service
	Failures []Failure
	Took     time.Duration
}

// Service is a service of a module, and which steps succeeded for it.
type Service struct {
	Name      string // as protobuf spells it, with its package
	GoPackage string // import path of its package
	GoName    string
	RPCs      []RPC

	impl         string   // import path of its implementation
	packages     []string // those that the implementation, its tests or its programs import
	Generated    bool
	Built        bool
	Started      bool // whether its programs printed their help
	Vetted       bool
	TestsPassed  bool
	TestsCounted int // tests that passed, including subtests
}

// RPC is a method of a service.
type RPC struct {
	Name      string // as the proto spells it
	Streaming bool
	Events    string // the fields by which it was recognised as taking events; "" if it was not
}

// Failure is a failed step for a module.
type Failure struct {
	Step     string   // generate, build, start, vet or test
	Package  string   // import path; "" if it concerns no package
	Services []string // those that don't work because of it; if empty, all of them
	Text     string
}

// services returns the services for which a request asks to generate.
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

// fail records a failure of a package, and of the services that need it.
func (r *Result) fail(step, pkg, text string) {
	failure := Failure{Step: step, Package: pkg, Text: text}
	for _, service := range r.Services {
		if pkg != "" && slices.Contains(service.packages, pkg) {
			failure.Services = append(failure.Services, service.Name)
		}
	}
	r.Failures = append(r.Failures, failure)
}

// count returns for how many services a condition is true.
func (r *Result) count(is func(*Service) bool) (n int) {
	for _, service := range r.Services {
		if is(service) {
			n++
		}
	}
	return n
}

// rpcs returns for how many RPCs a condition is true.
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

// String returns a summary of the result.
func (r *Result) String() string {
	if len(r.Failures) > 0 {
		return fmt.Sprintf("%d services, %d failures", len(r.Services), len(r.Failures))
	}
	return fmt.Sprintf("%d services", len(r.Services))
}
