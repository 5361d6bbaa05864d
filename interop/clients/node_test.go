package clients

import (
	"encoding/json"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/interop/orders"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/interop/typescript"
)

// TestNode calls the server from Node with the libraries of connectrpc: by Connect,
// gRPC-Web and gRPC, over HTTP/1.1 and HTTP/2, with TLS and without.
func TestNode(t *testing.T) {
	bundle := typescript.Bundle(t, "node.ts", "node")
	keys, key := orders.Keys(t)
	for name, mode := range orders.Modes(t) {
		t.Run(name, func(t *testing.T) {
			if mode.Certificate != nil {
				t.Setenv("NODE_EXTRA_CA_CERTS", mode.Certificate.File)
			}
			server := orders.Start(t, append([]string{"--keys", keys}, mode.Flags...)...)
			limited := orders.Start(t, append([]string{"--source-rate", "0.01", "--source-burst", "1"}, mode.Flags...)...)
			printed := orders.Output(t, ".", "node", bundle, mode.Scheme+"://"+server.HTTP, mode.Scheme+"://"+limited.HTTP,
				mode.Scheme+"://"+server.GRPC, mode.Scheme+"://"+limited.GRPC, key)
			var seen typescript.Seen
			if err := json.Unmarshal([]byte(printed), &seen); err != nil {
				t.Fatal(err)
			}
			var want []map[string]string
			for _, protocol := range []string{"Connect with JSON", "Connect", "Connect with gzip", "gRPC-Web", "gRPC on the HTTP port", "gRPC"} {
				want = append(want, typescript.UnaryAndTail(protocol))
			}
			for _, protocol := range []string{"Connect with JSON", "Connect", "gRPC-Web", "gRPC on the HTTP port", "gRPC"} {
				want = append(want, typescript.Uploads(protocol))
			}
			for _, protocol := range []string{"Connect", "Connect with gzip", "gRPC-Web over HTTP/2", "gRPC on the HTTP port", "gRPC"} {
				want = append(want, typescript.Dialogue(protocol))
			}
			typescript.Check(t, seen, want...)
		})
	}
}
