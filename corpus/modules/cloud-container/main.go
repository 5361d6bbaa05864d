// Command cloud-container writes the request of protoc for the services of
// cloud.google.com/go/container.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/container/apiv1/containerpb"
)

func main() { descriptors.Main() }
