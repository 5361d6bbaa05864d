// Command cloud-cloudtasks writes the request of protoc for the services of
// cloud.google.com/go/cloudtasks.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/cloudtasks/apiv2/cloudtaskspb"
	_ "cloud.google.com/go/cloudtasks/apiv2beta2/cloudtaskspb"
	_ "cloud.google.com/go/cloudtasks/apiv2beta3/cloudtaskspb"
)

func main() { descriptors.Main() }
