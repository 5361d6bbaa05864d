// Command istio writes the request of protoc for the services of
// istio.io/api.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "istio.io/api/security/v1alpha1"
)

func main() { descriptors.Main() }
