// Package typescript bundles the clients in TypeScript that other packages run, with
// the code that protoc-gen-es generates from orders.proto.
package typescript

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/interop/orders"
)

// How to get what is missing.
const (
	FromNode   = "install Node 20 or later with npm, then make tools"
	fromProtoc = "apt-get install protobuf-compiler libprotobuf-dev"
)

// Bundle makes one file of a client and what it imports, for the platform "browser" or
// "node", and returns its path.
func Bundle(t testing.TB, client, platform string) string {
	t.Helper()
	orders.Tool(t, "node", FromNode)
	protoc := orders.Tool(t, "protoc", fromProtoc)
	libraries := filepath.Join(orders.Repository(t), ".tools", "interop", "node_modules")
	if _, err := os.Stat(libraries); err != nil {
		orders.Missing(t, libraries, FromNode)
	}
	dir := t.TempDir()
	orders.Output(t, ".", protoc, "-I", filepath.Dir(orders.Proto(t)), "orders.proto",
		"--plugin="+filepath.Join(libraries, ".bin", "protoc-gen-es"), "--es_out="+dir, "--es_opt=target=ts")
	t.Setenv("NODE_PATH", libraries)
	bundle := filepath.Join(dir, "client.mjs")
	orders.Output(t, ".", filepath.Join(libraries, ".bin", "esbuild"), client, "--bundle", "--format=esm",
		"--platform="+platform, "--alias:orders="+filepath.Join(dir, "orders_pb.ts"), "--outfile="+bundle, "--log-level=warning")
	return bundle
}
