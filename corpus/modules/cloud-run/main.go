// Command cloud-run writes what protoc would ask a plugin about the services of
// cloud.google.com/go/run.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/run/apiv2/runpb"
)

func main() { descriptors.Main() }
