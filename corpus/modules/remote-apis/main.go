// Command remote-apis writes the request of protoc for the services of
// github.com/bazelbuild/remote-apis.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/bazelbuild/remote-apis/build/bazel/remote/asset/v1"
	_ "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	_ "github.com/bazelbuild/remote-apis/build/bazel/remote/logstream/v1"
)

func main() { descriptors.Main() }
