// Command qdrant writes the request of protoc for the services of
// github.com/qdrant/go-client.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/qdrant/go-client/qdrant"
)

func main() { descriptors.Main() }
