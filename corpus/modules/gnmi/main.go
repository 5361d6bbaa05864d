// Command gnmi writes what protoc would ask a plugin about the services of
// github.com/openconfig/gnmi.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/openconfig/gnmi/proto/collector"
	_ "github.com/openconfig/gnmi/proto/gnmi"
	_ "github.com/openconfig/gnmi/testing/fake/proto"
)

func main() { descriptors.Main() }
