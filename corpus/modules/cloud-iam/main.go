// Command cloud-iam writes what protoc would ask a plugin about the services of
// cloud.google.com/go/iam.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/iam/apiv1/iampb"
	_ "cloud.google.com/go/iam/apiv2/iampb"
	_ "cloud.google.com/go/iam/apiv3/iampb"
	_ "cloud.google.com/go/iam/apiv3beta/iampb"
	_ "cloud.google.com/go/iam/credentials/apiv1/credentialspb"
)

func main() { descriptors.Main() }
