// Command cloud-run writes the request of protoc for the services of
// cloud.google.com/go/run.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/run/apiv2/runpb"
)

func main() { descriptors.Main() }
