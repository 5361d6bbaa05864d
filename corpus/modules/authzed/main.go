// Command authzed writes the request of protoc for the services of
// github.com/authzed/authzed-go.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/authzed/authzed-go/proto/authzed/api/materialize/v0"
	_ "github.com/authzed/authzed-go/proto/authzed/api/v0"
	_ "github.com/authzed/authzed-go/proto/authzed/api/v1"
)

func main() { descriptors.Main() }
