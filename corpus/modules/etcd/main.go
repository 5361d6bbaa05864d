// Command etcd writes the request of protoc for the services of
// go.etcd.io/etcd/api/v3.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "go.etcd.io/etcd/api/v3/etcdserverpb"
)

func main() { descriptors.Main() }
