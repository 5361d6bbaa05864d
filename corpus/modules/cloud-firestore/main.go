// Command cloud-firestore writes the request of protoc for the services of
// cloud.google.com/go/firestore.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/firestore/apiv1/admin/adminpb"
	_ "cloud.google.com/go/firestore/apiv1/firestorepb"
)

func main() { descriptors.Main() }
