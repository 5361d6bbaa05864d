package clients

import (
	"os/exec"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/interop/orders"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/interop/typescript"
)

// fromPython is how to get Python's gRPC.
const fromPython = "apt-get install protobuf-compiler protobuf-compiler-grpc python3-grpcio python3-protobuf"

// TestPython calls the server by Python's gRPC, with compressed requests and without, on
// both ports.
func TestPython(t *testing.T) {
	python := pythonWithGRPC(t)
	stubs := t.TempDir()
	orders.Output(t, ".", orders.Tool(t, "protoc", fromPython), "-I", "../orders", "orders.proto", "--python_out="+stubs, "--grpc_out="+stubs,
		"--plugin=protoc-gen-grpc="+orders.Tool(t, "grpc_python_plugin", fromPython))
	t.Setenv("PYTHONPATH", stubs)
	for name, mode := range orders.Modes(t) {
		certificate := ""
		if mode.Certificate != nil {
			certificate = mode.Certificate.File
		}
		for _, compression := range []string{"gzip", "none"} {
			t.Run(name+", "+compression, func(t *testing.T) {
				native, beside := orders.Start(t, mode.Flags...), orders.Start(t, mode.Flags...)
				for port, addr := range map[string]string{"gRPC port": native.GRPC, "HTTP port": beside.HTTP} {
					t.Run(port, func(t *testing.T) {
						var seen typescript.Seen
						decode(t, orders.Output(t, ".", python, "python.py", addr, certificate, compression), &seen)
						typescript.Check(t, seen, fromPythonSeen)
					})
				}
			})
		}
	}
}

// fromPythonSeen is what comes of python.py.
var fromPythonSeen = map[string]string{
	"publish":        `[1, "one", false]`,
	"the same again": `[1, "one", true]`,
	"batch":          `2`,
	"client stream":  `3`,
	"bidi":           `["each/1", "each/2", "each/3"]`,
	"follow":         `[["one", 100000], ["four", 100000], ["five", 100000], ["one", 100000], ["two", 100000], ["three", 100000]]`,
}

// pythonWithGRPC returns a Python that has gRPC: that of PATH, or Debian's.
func pythonWithGRPC(t *testing.T) string {
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import grpc, google.protobuf").Run() == nil {
			return python
		}
	}
	orders.Missing(t, "Python's gRPC", fromPython)
	return ""
}
