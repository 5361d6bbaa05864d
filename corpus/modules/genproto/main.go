// Command genproto writes the request of protoc for the services of
// google.golang.org/genproto.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "google.golang.org/genproto/googleapis/chromeos/moblab/v1beta1"
)

func main() { descriptors.Main() }
