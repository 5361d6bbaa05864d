package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// testTimeout bounds how long a test waits for what must happen. It is far longer
// than that takes.
const testTimeout = time.Minute

// service answers by its functions.
type service struct {
	testpb.UnimplementedTestServiceServer
	unary func(context.Context, *testpb.SimpleRequest) error
	empty func(context.Context) error
	watch func(context.Context) error // of a stream
}

func (s service) UnaryCall(ctx context.Context, request *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return &testpb.SimpleResponse{}, s.unary(ctx, request)
}

func (s service) EmptyCall(ctx context.Context, _ *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, s.empty(ctx)
}

func (s service) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	return s.watch(stream.Context())
}

// alike returns a service that does the same in a unary call and in a stream.
func alike(do func(context.Context) error) service {
	return service{watch: do, unary: func(ctx context.Context, _ *testpb.SimpleRequest) error { return do(ctx) }}
}

// unaryAndStream makes a call of each kind, and returns the errors.
func unaryAndStream(ctx context.Context, conn *grpc.ClientConn) (unary, stream error) {
	client := testpb.NewTestServiceClient(conn)
	_, unary = client.UnaryCall(ctx, &testpb.SimpleRequest{})
	replies, stream := client.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{})
	if stream == nil {
		if _, stream = replies.Recv(); errors.Is(stream, io.EOF) {
			stream = nil
		}
	}
	return unary, stream
}

// listen listens on a free port of this machine until the test ends.
func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// serve starts a server, which serves until the test ends, and returns its
// address.
func serve(t *testing.T, s testpb.TestServiceServer, options ...grpc.ServerOption) string {
	t.Helper()
	listener := listen(t)
	server := grpc.NewServer(options...)
	testpb.RegisterTestServiceServer(server, s)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// nothing returns an address on which nothing listens.
func nothing(t *testing.T) string {
	t.Helper()
	listener := listen(t)
	defer listener.Close()
	return listener.Addr().String()
}

// soon returns a context that ends after testTimeout.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// connected returns a connection that is ready.
func connected(t *testing.T, target string, services []Service, options ...Option) *grpc.ClientConn {
	t.Helper()
	conn, err := Dial(soon(t), target, services, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// oneLine checks that an error is one line that contains all parts.
func oneLine(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q doesn't contain %q", err, part)
		}
	}
}

// certificate returns a new self-signed certificate for a host, and the PEM file
// of its root.
func certificate(t *testing.T, host string) (cert tls.Certificate, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
