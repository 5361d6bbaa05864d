// Command xds writes the request of protoc for the services of
// github.com/cncf/xds/go.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/cncf/xds/go/udpa/service/orca/v1"
	_ "github.com/cncf/xds/go/xds/service/orca/v3"
)

func main() { descriptors.Main() }
