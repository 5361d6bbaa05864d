// Command go-plugin writes what protoc would ask a plugin about the services of
// github.com/hashicorp/go-plugin.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/hashicorp/go-plugin/examples/grpc/proto"
	_ "github.com/hashicorp/go-plugin/examples/streaming/proto"
	_ "github.com/hashicorp/go-plugin/test/grpc"
)

func main() { descriptors.Main() }
