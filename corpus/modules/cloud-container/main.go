// Command cloud-container writes what protoc would ask a plugin about the services of
// cloud.google.com/go/container.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/container/apiv1/containerpb"
)

func main() { descriptors.Main() }
