// Command grpc-examples writes what protoc would ask a plugin about the services of
// google.golang.org/grpc/examples.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "google.golang.org/grpc/examples/features/proto/echo"
	_ "google.golang.org/grpc/examples/helloworld/helloworld"
	_ "google.golang.org/grpc/examples/route_guide/routeguide"
)

func main() { descriptors.Main() }
