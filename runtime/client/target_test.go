package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// spread makes calls until all addresses have answered one.
func spread(t *testing.T, conn *grpc.ClientConn, addrs ...string) {
	t.Helper()
	missing := map[string]bool{}
	for _, addr := range addrs {
		missing[addr] = true
	}
	for deadline := time.Now().Add(testTimeout); len(missing) > 0; {
		var from peer.Peer
		if _, err := testpb.NewTestServiceClient(conn).EmptyCall(soon(t), &testpb.Empty{}, grpc.Peer(&from)); err != nil {
			t.Fatal(err)
		}
		delete(missing, from.Addr.String())
		if time.Now().After(deadline) {
			t.Fatalf("no call reaches %v", missing)
		}
	}
}

func TestCallsGoToAllServers(t *testing.T) {
	answers := service{empty: func(context.Context) error { return nil }}
	one, other := serve(t, answers), serve(t, answers)
	t.Run("of a list", func(t *testing.T) {
		spread(t, connected(t, one+","+other, nil), one, other)
	})
	t.Run("of a list, some of which are away", func(t *testing.T) {
		spread(t, connected(t, nothing(t)+","+one+","+other, nil), one, other)
	})
	t.Run("of a list with spaces and a comma at its end", func(t *testing.T) {
		spread(t, connected(t, one+", "+other+",", nil), one, other)
	})
	t.Run("of a name", func(t *testing.T) {
		names := manual.NewBuilderWithScheme("names")
		names.InitialState(resolver.State{Addresses: []resolver.Address{{Addr: one}, {Addr: other}}})
		spread(t, connected(t, "names:///orders", nil, Insecure(), With(grpc.WithResolvers(names))), one, other)
	})
}

func TestAListOfWhichNothingAnswersIsReportedInOneLine(t *testing.T) {
	target := nothing(t) + "," + nothing(t)
	_, err := Dial(soon(t), target, nil)
	oneLine(t, err, "no server at "+target, "connection refused")
}

// TestTheCertificateOfEachServerIsChecked against its own name.
func TestTheCertificateOfEachServerIsChecked(t *testing.T) {
	answers := service{empty: func(context.Context) error { return nil }}
	start := func(host string) (addr string, root []byte) {
		cert, file := certificate(t, host)
		root, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return serve(t, answers, grpc.Creds(credentials.NewServerTLSFromCert(&cert))), root
	}
	one, rootOfOne := start("127.0.0.1")
	other, rootOfOther := start("other.example.com")
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(rootOfOne) || !roots.AppendCertsFromPEM(rootOfOther) {
		t.Fatal("the certificates can't be read")
	}
	conn := connected(t, other+","+one, nil, TLS(&tls.Config{RootCAs: roots}))
	for range 20 {
		var from peer.Peer
		if _, err := testpb.NewTestServiceClient(conn).EmptyCall(soon(t), &testpb.Empty{}, grpc.Peer(&from)); err != nil {
			t.Fatal(err)
		}
		if from.Addr.String() != one {
			t.Fatal("a call reached a server whose certificate is for another name")
		}
	}
}
