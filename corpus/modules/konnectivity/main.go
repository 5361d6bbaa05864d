// Command konnectivity writes the request of protoc for the services of
// sigs.k8s.io/apiserver-network-proxy/konnectivity-client.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "sigs.k8s.io/apiserver-network-proxy/konnectivity-client/proto/client"
)

func main() { descriptors.Main() }
