// Command cloud-security writes the request of protoc for the services of
// cloud.google.com/go/security.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/security/privateca/apiv1/privatecapb"
	_ "cloud.google.com/go/security/publicca/apiv1/publiccapb"
	_ "cloud.google.com/go/security/publicca/apiv1beta1/publiccapb"
)

func main() { descriptors.Main() }
