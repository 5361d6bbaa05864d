// Command csi writes the request of protoc for the services of
// github.com/container-storage-interface/spec.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/container-storage-interface/spec/lib/go/csi"
)

func main() { descriptors.Main() }
