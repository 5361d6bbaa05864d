// Command kms writes the request of protoc for the services of
// k8s.io/kms.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "k8s.io/kms/apis/v1beta1"
	_ "k8s.io/kms/apis/v2"
)

func main() { descriptors.Main() }
