// Command cloud-cloudtasks writes what protoc would ask a plugin about the services of
// cloud.google.com/go/cloudtasks.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/cloudtasks/apiv2/cloudtaskspb"
	_ "cloud.google.com/go/cloudtasks/apiv2beta2/cloudtaskspb"
	_ "cloud.google.com/go/cloudtasks/apiv2beta3/cloudtaskspb"
)

func main() { descriptors.Main() }
