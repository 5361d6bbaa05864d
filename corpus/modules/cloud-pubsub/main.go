// Command cloud-pubsub writes what protoc would ask a plugin about the services of
// cloud.google.com/go/pubsub/v2.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

func main() { descriptors.Main() }
