// Command cloud-dialogflow writes the request of protoc for the services of
// cloud.google.com/go/dialogflow.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/dialogflow/apiv2/dialogflowpb"
	_ "cloud.google.com/go/dialogflow/cx/apiv3/cxpb"
)

func main() { descriptors.Main() }
