// Command cloud-logging writes the request of protoc for the services of
// cloud.google.com/go/logging.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/logging/apiv2/loggingpb"
)

func main() { descriptors.Main() }
