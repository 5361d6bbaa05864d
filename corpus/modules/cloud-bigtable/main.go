// Command cloud-bigtable writes the request of protoc for the services of
// cloud.google.com/go/bigtable.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/bigtable/admin/apiv2/adminpb"
	_ "cloud.google.com/go/bigtable/apiv2/bigtablepb"
)

func main() { descriptors.Main() }
