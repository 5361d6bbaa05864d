// Command grpc writes the request of protoc for the services of
// google.golang.org/grpc.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "google.golang.org/grpc/balancer/grpclb/grpc_lb_v1"
	_ "google.golang.org/grpc/channelz/grpc_channelz_v1"
	_ "google.golang.org/grpc/health/grpc_health_v1"
	_ "google.golang.org/grpc/interop/grpc_testing"
	_ "google.golang.org/grpc/interop/stress/grpc_testing"
	_ "google.golang.org/grpc/profiling/proto"
	_ "google.golang.org/grpc/reflection/grpc_reflection_v1"
	_ "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
)

func main() { descriptors.Main() }
