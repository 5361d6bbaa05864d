// Command gnmi writes the request of protoc for the services of
// github.com/openconfig/gnmi.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/openconfig/gnmi/proto/collector"
	_ "github.com/openconfig/gnmi/proto/gnmi"
	_ "github.com/openconfig/gnmi/testing/fake/proto"
)

func main() { descriptors.Main() }
