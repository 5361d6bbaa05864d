package runtime

import (
	"slices"
	"strings"
)

// Engines are those of the event log that a module may have, named as the
// schemes of their URLs. memory is in every module.
var Engines = []string{"sqlite", "nats"}

// Requirement is a module whose packages the runtime or generated code imports.
type Requirement struct {
	Path    string
	Version string // with which they were tested
	Least   string // the oldest version with which they build and keep what they promise
}

// Go is what the runtime needs of the line go in go.mod.
var Go = Requirement{Path: "go", Version: "1.26.0", Least: "1.25.0"}

// requirements are all of them. Tests compare them with go.mod and with the
// imports of the runtime, and build it with the least versions.
var requirements = []Requirement{
	{"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go", // as protovalidate requires it
		"v1.36.12-20260825204119-511051f7f437.1", "v1.36.12-20260825204119-511051f7f437.1"},
	{"buf.build/go/protovalidate", "v1.4.0", "v1.4.0"}, // older ones took 40 times as long for a message
	{"connectrpc.com/connect/v2", "v2.0.2", "v2.0.2"},  // the first that is stable of those with untyped handlers
	{"github.com/HdrHistogram/hdrhistogram-go", "v1.4.0", "v1.2.0"},
	{"github.com/google/uuid", "v1.6.0", "v1.6.0"},       // for NewV7
	{"github.com/nats-io/nats.go", "v1.55.0", "v1.55.0"}, // older ones call it a closed connection if a request is cut off
	{"github.com/parquet-go/parquet-go", "v0.32.0", "v0.32.0"},
	{"github.com/prometheus/client_golang", "v1.25.0", "v1.23.0"},
	{"github.com/rs/cors", "v1.11.1", "v1.11.1"},       // older ones take many allocations for a long header
	{"go.opentelemetry.io/otel", "v1.47.0", "v1.44.0"}, // as the least grpc requires it, and so the next four
	{"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc", "v1.47.0", "v1.44.0"},
	{"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp", "v1.47.0", "v1.44.0"},
	{"go.opentelemetry.io/otel/sdk", "v1.47.0", "v1.44.0"},
	{"go.opentelemetry.io/otel/trace", "v1.47.0", "v1.44.0"},
	{"go.yaml.in/yaml/v4", "v4.0.0", "v4.0.0"},  // the first that is stable
	{"golang.org/x/term", "v0.47.0", "v0.47.0"}, // for its History
	{"golang.org/x/time", "v0.16.0", "v0.12.0"}, // package rate, of which any version will do
	{"google.golang.org/genproto/googleapis/rpc", // as the least grpc requires it
		"v0.0.0-20260928230214-8a89bd6388cc", "v0.0.0-20260706201446-f0a921348800"},
	{"google.golang.org/grpc", "v1.85.0", "v1.84.0"},       // older ones keep 60 bytes for each byte that a client sends in a frame of its own
	{"google.golang.org/protobuf", "v1.36.12", "v1.36.11"}, // as the least grpc requires it
	{"modernc.org/sqlite", "v1.61.1", "v1.61.0"},           // the first with an authorizer
}

// Requirements returns the modules that the whole runtime and generated code
// import, sorted by their paths.
func Requirements() []Requirement { return slices.Clone(requirements) }

// generated are packages that all generated code imports.
var generated = []string{"google.golang.org/grpc", "google.golang.org/protobuf/proto"}

// Requirements returns the modules that the part and generated code import,
// sorted by their paths.
func (p Part) Requirements() []Requirement {
	imports := slices.Clone(generated)
	for _, file := range p.files {
		imports = append(imports, file.others...)
	}
	return slices.DeleteFunc(Requirements(), func(r Requirement) bool {
		return !slices.ContainsFunc(imports, r.has)
	})
}

// has reports whether a package can be one of the module.
func (r Requirement) has(importPath string) bool {
	return importPath == r.Path || strings.HasPrefix(importPath, r.Path+"/")
}
