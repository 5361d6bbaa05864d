// Command kratos writes the request of protoc for the services of
// github.com/go-kratos/kratos/v2.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/go-kratos/kratos/v2/api/metadata"
)

func main() { descriptors.Main() }
