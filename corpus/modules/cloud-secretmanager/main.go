// Command cloud-secretmanager writes the request of protoc for the services of
// cloud.google.com/go/secretmanager.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	_ "cloud.google.com/go/secretmanager/apiv1beta2/secretmanagerpb"
)

func main() { descriptors.Main() }
