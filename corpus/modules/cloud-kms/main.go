// Command cloud-kms writes what protoc would ask a plugin about the services of
// cloud.google.com/go/kms.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/kms/apiv1/kmspb"
	_ "cloud.google.com/go/kms/inventory/apiv1/inventorypb"
)

func main() { descriptors.Main() }
