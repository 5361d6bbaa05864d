// Command go-plugin writes the request of protoc for the services of
// github.com/hashicorp/go-plugin.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/hashicorp/go-plugin/examples/grpc/proto"
	_ "github.com/hashicorp/go-plugin/examples/streaming/proto"
	_ "github.com/hashicorp/go-plugin/test/grpc"
)

func main() { descriptors.Main() }
