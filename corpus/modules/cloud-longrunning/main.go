// Command cloud-longrunning writes the request of protoc for the services of
// cloud.google.com/go/longrunning.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/longrunning/autogen/longrunningpb"
)

func main() { descriptors.Main() }
