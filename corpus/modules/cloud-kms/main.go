// Command cloud-kms writes the request of protoc for the services of
// cloud.google.com/go/kms.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/kms/apiv1/kmspb"
	_ "cloud.google.com/go/kms/inventory/apiv1/inventorypb"
)

func main() { descriptors.Main() }
