// Command pulumi writes the request of protoc for the services of
// github.com/pulumi/pulumi/sdk/v3.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/pulumi/pulumi/sdk/v3/proto/go"
	_ "github.com/pulumi/pulumi/sdk/v3/proto/go/codegen"
	_ "github.com/pulumi/pulumi/sdk/v3/proto/go/testing"
)

func main() { descriptors.Main() }
