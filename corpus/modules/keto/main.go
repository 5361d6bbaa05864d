// Command keto writes the request of protoc for the services of
// github.com/ory/keto/proto.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/ory/keto/proto/ory/keto/opl/v1alpha1"
	_ "github.com/ory/keto/proto/ory/keto/relation_tuples/v1alpha2"
)

func main() { descriptors.Main() }
