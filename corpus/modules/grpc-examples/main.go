// Command grpc-examples writes the request of protoc for the services of
// google.golang.org/grpc/examples.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "google.golang.org/grpc/examples/features/proto/echo"
	_ "google.golang.org/grpc/examples/helloworld/helloworld"
	_ "google.golang.org/grpc/examples/route_guide/routeguide"
)

func main() { descriptors.Main() }
