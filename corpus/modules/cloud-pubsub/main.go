// Command cloud-pubsub writes the request of protoc for the services of
// cloud.google.com/go/pubsub/v2.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

func main() { descriptors.Main() }
