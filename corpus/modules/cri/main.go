// Command cri writes the request of protoc for the services of
// k8s.io/cri-api.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func main() { descriptors.Main() }
