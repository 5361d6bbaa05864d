// Command etcd writes what protoc would ask a plugin about the services of
// go.etcd.io/etcd/api/v3.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "go.etcd.io/etcd/api/v3/etcdserverpb"
)

func main() { descriptors.Main() }
