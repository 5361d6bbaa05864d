// Command cloud-retail writes the request of protoc for the services of
// cloud.google.com/go/retail.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/retail/apiv2/retailpb"
)

func main() { descriptors.Main() }
