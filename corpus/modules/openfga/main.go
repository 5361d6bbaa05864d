// Command openfga writes the request of protoc for the services of
// github.com/openfga/api/proto.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/openfga/api/proto/authzen/v1"
	_ "github.com/openfga/api/proto/openfga/v1"
)

func main() { descriptors.Main() }
