package conformance_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/interop/conformance"
)

// TestMain runs the tests, or the server under test: the suite starts this program again,
// with another environment.
func TestMain(m *testing.M) {
	if os.Getenv("CONFORMANCE_SERVER") == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := conformance.Program(ctx, os.Stdin, os.Stdout, os.Getenv("CONFORMANCE_SERVER") == "http"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestConformance runs connectrpc's conformance suite against the server; with -short, the
// cases without TLS and compression.
func TestConformance(t *testing.T) {
	suite := filepath.Join(t.TempDir(), "connectconformance")
	build := exec.Command("go", "build", "-o", suite, "connectrpc.com/conformance/cmd/connectconformance")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the suite: %v\n%s", err, output)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []string{"grpc", "http"} {
		t.Run(port, func(t *testing.T) {
			args := []string{"--mode", "server", "--conf", port + ".yaml", "--known-failing", "@" + port + "-known-failing.txt"}
			if testing.Short() {
				args = append(args, "--skip", "**/TLS:true/**", "--skip", "**/Compression:COMPRESSION_GZIP/**")
			}
			run := exec.Command(suite, append(args, "--", self)...)
			run.Env = append(os.Environ(), "CONFORMANCE_SERVER="+port)
			output, err := run.CombinedOutput()
			t.Logf("%s", output)
			if err != nil {
				t.Error(err)
			}
		})
	}
}
