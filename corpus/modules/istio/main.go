// Command istio writes what protoc would ask a plugin about the services of
// istio.io/api.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "istio.io/api/security/v1alpha1"
)

func main() { descriptors.Main() }
