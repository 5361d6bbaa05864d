// Command otlp writes the request of protoc for the services of
// go.opentelemetry.io/proto/otlp.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	_ "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	_ "go.opentelemetry.io/proto/otlp/collector/trace/v1"
)

func main() { descriptors.Main() }
