// Command cloud-trace writes what protoc would ask a plugin about the services of
// cloud.google.com/go/trace.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/trace/apiv1/tracepb"
	_ "cloud.google.com/go/trace/apiv2/tracepb"
)

func main() { descriptors.Main() }
