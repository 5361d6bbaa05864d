// Command temporal writes what protoc would ask a plugin about the services of
// go.temporal.io/api.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "go.temporal.io/api/operatorservice/v1"
	_ "go.temporal.io/api/workflowservice/v1"
)

func main() { descriptors.Main() }
