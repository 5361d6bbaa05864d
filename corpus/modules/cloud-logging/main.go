// Command cloud-logging writes what protoc would ask a plugin about the services of
// cloud.google.com/go/logging.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/logging/apiv2/loggingpb"
)

func main() { descriptors.Main() }
