// Command go-grpc-middleware writes the request of protoc for the services of
// github.com/grpc-ecosystem/go-grpc-middleware/v2.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/grpc-ecosystem/go-grpc-middleware/v2/testing/testpb"
	_ "github.com/grpc-ecosystem/go-grpc-middleware/v2/testing/testvalidate/v1"
)

func main() { descriptors.Main() }
