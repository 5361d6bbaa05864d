// Command spiffe writes the request of protoc for the services of
// github.com/spiffe/go-spiffe/v2.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/spiffe/go-spiffe/v2/exp/proto/spiffe/broker"
	_ "github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
)

func main() { descriptors.Main() }
