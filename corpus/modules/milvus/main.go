// Command milvus writes the request of protoc for the services of
// github.com/milvus-io/milvus-proto/go-api/v2.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	_ "github.com/milvus-io/milvus-proto/go-api/v2/tokenizerpb"
)

func main() { descriptors.Main() }
