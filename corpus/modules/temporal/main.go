// Command temporal writes the request of protoc for the services of
// go.temporal.io/api.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "go.temporal.io/api/operatorservice/v1"
	_ "go.temporal.io/api/workflowservice/v1"
)

func main() { descriptors.Main() }
