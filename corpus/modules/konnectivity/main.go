// Command konnectivity writes what protoc would ask a plugin about the services of
// sigs.k8s.io/apiserver-network-proxy/konnectivity-client.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "sigs.k8s.io/apiserver-network-proxy/konnectivity-client/proto/client"
)

func main() { descriptors.Main() }
