// Command cloud-iam writes the request of protoc for the services of
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
