package metrics

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// BenchmarkCall measures what counting costs a call.
func BenchmarkCall(b *testing.B) {
	observer := New().rpc(server.Call{Method: "/shop.v1.Orders/Place"})
	b.ReportAllocs()
	took := time.Duration(0)
	for b.Loop() {
		took = (took + 1234567) % time.Second
		observer.End(observer.Begin(b.Context()), codes.OK, took)
	}
}
