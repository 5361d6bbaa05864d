// Command cloud-trace writes the request of protoc for the services of
// cloud.google.com/go/trace.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/trace/apiv1/tracepb"
	_ "cloud.google.com/go/trace/apiv2/tracepb"
)

func main() { descriptors.Main() }
