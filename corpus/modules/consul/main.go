// Command consul writes the request of protoc for the services of
// github.com/hashicorp/consul/proto-public.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/hashicorp/consul/proto-public/pbacl"
	_ "github.com/hashicorp/consul/proto-public/pbconnectca"
	_ "github.com/hashicorp/consul/proto-public/pbdataplane"
	_ "github.com/hashicorp/consul/proto-public/pbdns"
	_ "github.com/hashicorp/consul/proto-public/pbresource"
	_ "github.com/hashicorp/consul/proto-public/pbserverdiscovery"
)

func main() { descriptors.Main() }
