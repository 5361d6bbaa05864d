package client

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

func TestPlaintextIsForThisMachineOnly(t *testing.T) {
	for target, want := range map[string]bool{
		"localhost:1":                     true,
		"localhost":                       true,
		"127.0.0.1:1":                     true,
		"127.1.2.3:1":                     true,
		"[::1]:1":                         true,
		"[::1]":                           true,
		"::1":                             true,
		"dns:localhost:1":                 true,
		"dns:///localhost:1":              true,
		"dns:///[::1]:1":                  true,
		"passthrough:///127.0.0.1:1":      true,
		"passthrough:localhost:1":         true,
		"unix:/x":                         true,
		"unix:x":                          true,
		"unix:///x":                       true,
		"unix-abstract:x":                 true,
		"":                                false,
		":1":                              false,
		"example.com:1":                   false,
		"192.0.2.1:1":                     false,
		"0.0.0.0:1":                       false,
		"[::]:1":                          false,
		"[2001:db8::1]:1":                 false,
		"128.0.0.1:1":                     false,
		"localhost.example.com:1":         false,
		"127.0.0.1.example.com:1":         false,
		"example.com/localhost:1":         false,
		"localhost@example.com:1":         false,
		"localhost:1@example.com:1":       false,
		"localhost:1,127.0.0.1:2,[::1]:3": true,
		"localhost:1,example.com:1":       false,
		"example.com:1,localhost:1":       false,
		"unix:a,localhost:1":              true,
		"dns:///localhost:1,localhost:2":  false,
		"dns:///example.com:1":            false,
		"dns:///localhost.example.com:1":  false,
		"dns://192.0.2.1/localhost:1":     false,
		"dns://localhost/example.com:1":   false,
		"dns:example.com:1":               false,
		"dns:///localhost%2eexample.com":  false,
		"dns:///localhost/example.com:1":  false,
		"dns:///%zz":                      false,
		"passthrough:///example.com:1":    false,
		"xds:///localhost:1":              false,
		"unixes:/x":                       false,
		"http://localhost:1":              false,
		"passthrough:///[::1].example:1":  false,
		"dns:////localhost:1":             false,
		"passthrough://evil/localhost:1":  false,
		"passthrough:///localhost:1 evil": true, // the port is wrong, the host is right
	} {
		if got := local(target); got != want {
			t.Errorf("local(%q) is %v, want %v", target, got, want)
		}
	}
}

// greeting is a service that answers every call.
var greeting = service{unary: func(context.Context, *testpb.SimpleRequest) error { return nil }}

// elsewhere makes connections to any target go to an address.
func elsewhere(addr string) Option {
	return With(grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}))
}

func TestAConnectionToAnotherMachineIsNotPlaintext(t *testing.T) {
	const target = "passthrough:///example.com:1"
	addr := serve(t, greeting)
	_, err := Dial(soon(t), target, nil, elsewhere(addr))
	oneLine(t, err, "the server at "+target+" does not use TLS, but this client does")

	conn := connected(t, target, nil, elsewhere(addr), Insecure())
	if _, err := testpb.NewTestServiceClient(conn).UnaryCall(soon(t), &testpb.SimpleRequest{}); err != nil {
		t.Error(err)
	}
}

func TestTheServerMustHaveACertificateThatIsTrusted(t *testing.T) {
	cert, trusted := certificate(t, "127.0.0.1")
	_, foreign := certificate(t, "127.0.0.1")
	named, trustedByName := certificate(t, "example.com")
	encrypted := serve(t, greeting, grpc.Creds(credentials.NewServerTLSFromCert(&cert)))
	elsewhere := serve(t, greeting, grpc.Creds(credentials.NewServerTLSFromCert(&named)))
	mutual := serve(t, greeting, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert})))
	plain := serve(t, greeting)
	hangsUp := listen(t)
	go func() {
		for conn, err := hangsUp.Accept(); err == nil; conn, err = hangsUp.Accept() {
			conn.Close()
		}
	}()
	rude := hangsUp.Addr().String()
	for name, test := range map[string]struct {
		addr    string
		options []Option
		want    string // part of the error, where %s is the address, or "" if a call succeeds
	}{
		"by its root":                       {encrypted, []Option{RootCAs(trusted)}, ""},
		"by its root, and Insecure is moot": {encrypted, []Option{Insecure(), RootCAs(trusted)}, ""},
		"by another root":                   {encrypted, []Option{RootCAs(foreign)}, "the certificate of the server at %s is not accepted: x509: certificate signed by unknown authority"},
		"by the system's roots":             {encrypted, []Option{TLS(&tls.Config{})}, "the certificate of the server at %s is not accepted: x509: certificate signed by unknown authority"},
		"unchecked":                         {encrypted, []Option{TLS(&tls.Config{InsecureSkipVerify: true})}, ""},
		"for another name":                  {elsewhere, []Option{RootCAs(trustedByName)}, "the certificate of the server at %s is not accepted: x509: cannot validate certificate for 127.0.0.1"},
		"for a name of the caller's choice": {elsewhere, []Option{RootCAs(trustedByName), TLS(&tls.Config{ServerName: "example.com"})}, ""},
		"of another version":                {encrypted, []Option{TLS(&tls.Config{MaxVersion: tls.VersionTLS11})}, "TLS with the server at %s: tls: no supported versions"},
		"none":                              {plain, []Option{RootCAs(trusted)}, "the server at %s does not use TLS, but this client does: give the server a certificate, or connect without TLS"},
		"though the client has none":        {mutual, []Option{RootCAs(trusted)}, "the server at %s ended the connection after the TLS handshake: it may want a certificate of the client"},
		"though the client is plain":        {encrypted, nil, "the server at %s uses TLS, but this client does not: name the certificates to trust"},
		"one that wants another, and plain": {mutual, nil, "the server at %s uses TLS, but this client does not: name the certificates to trust"},
		"of a server that hangs up":         {rude, nil, "no gRPC server at %s: "},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := soon(t)
			conn, err := Dial(ctx, test.addr, nil, test.options...)
			if test.want != "" {
				oneLine(t, err, strings.ReplaceAll(test.want, "%s", test.addr))
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := testpb.NewTestServiceClient(conn).UnaryCall(ctx, &testpb.SimpleRequest{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRootsThatCannotBeReadAreReportedInOneLine(t *testing.T) {
	dir := t.TempDir()
	hollow := filepath.Join(dir, "hollow.pem")
	if err := os.WriteFile(hollow, []byte("no certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.pem")
	for file, want := range map[string]string{missing: "no such file", hollow: "no certificate in PEM format", dir: "directory"} {
		for _, options := range [][]Option{{RootCAs(file)}, {RootCAs(file), TLS(&tls.Config{})}} {
			_, err := Dial(soon(t), "localhost:1", nil, options...)
			oneLine(t, err, "root certificates", file, want)
		}
	}
}

func TestTheCallersTLSIsLeftAlone(t *testing.T) {
	cert, trusted := certificate(t, "127.0.0.1")
	addr := serve(t, greeting, grpc.Creds(credentials.NewServerTLSFromCert(&cert)))
	config := &tls.Config{}
	connected(t, addr, nil, TLS(config), RootCAs(trusted))
	if config.RootCAs != nil || config.NextProtos != nil {
		t.Error("the configuration has changed")
	}
}
