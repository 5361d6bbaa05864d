package command

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

// metadataServer refuses calls of each kind with what came with them.
type metadataServer struct {
	testpb.UnimplementedTestServiceServer
}

func refusal(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	return status.Errorf(codes.Aborted, "authorization=%q x=%q x-bin=%q", md.Get("authorization"), md.Get("x"), md.Get("x-bin"))
}

func (metadataServer) UnaryCall(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return nil, refusal(ctx)
}
func (metadataServer) StreamingInputCall(stream uploadServer) error { return refusal(stream.Context()) }
func (metadataServer) FullDuplexCall(stream exchangeServer) error   { return refusal(stream.Context()) }
func (metadataServer) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, stream watchServer) error {
	return refusal(stream.Context())
}

// fileOf writes a file of the test's own.
func fileOf(t *testing.T, name, content string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTokensAndHeadersGoWithTheCall(t *testing.T) {
	addr := start(t, metadataServer{})
	token, other := fileOf(t, "token", "secret\n"), fileOf(t, "other", "other")
	own := []client.Option{client.Header("x", "own"), client.Token(func(context.Context) (string, error) { return "own", nil })}
	for _, test := range []struct {
		args     []string
		variable string // RECEIVER_CLIENT_TOKEN_FILE
		options  []client.Option
		want     string
	}{
		{nil, "", nil, `authorization=[] x=[] x-bin=[]`},
		{[]string{"--token-file", token}, "", nil, `authorization=["Bearer secret"] x=[] x-bin=[]`},
		{nil, token, nil, `authorization=["Bearer secret"] x=[] x-bin=[]`},
		{[]string{"--token-file", token}, other, nil, `authorization=["Bearer secret"] x=[] x-bin=[]`},
		{[]string{"--token-file", ""}, other, nil, `authorization=[] x=[] x-bin=[]`},
		{[]string{"--header", "X=a=b", "--header", "x=c"}, "", nil, `authorization=[] x=["a=b" "c"] x-bin=[]`},
		{[]string{"--header", "x-bin=AP8="}, "", nil, `authorization=[] x=[] x-bin=["\x00\xff"]`},
		{[]string{"--header", "x-bin=AP8"}, "", nil, `authorization=[] x=[] x-bin=["\x00\xff"]`},
		{[]string{"--header", "authorization=Basic eA=="}, other, nil, `authorization=["Basic eA=="] x=[] x-bin=[]`},
		{nil, "", own, `authorization=["Bearer own"] x=["own"] x-bin=[]`},
		{[]string{"--header", "x=more", "--token-file", token}, "", own, `authorization=["Bearer secret"] x=["own" "more"] x-bin=[]`},
	} {
		for _, command := range []Command{echo, upload, watch, exchangeAll} {
			env := Env{Program: "receiver-client", Args: append([]string{command.Name, "--addr", addr}, test.args...), Stdout: io.Discard, Options: test.options,
				Getenv: func(key string) string { return map[string]string{"RECEIVER_CLIENT_TOKEN_FILE": test.variable}[key] }}
			if err := Run(t.Context(), env, []Command{command}); fmt.Sprint(err) != command.Name+": Aborted: "+test.want {
				t.Errorf("%s %q, with the variable %q: the error is\n%v, want\n%s", command.Name, test.args, test.variable, err, test.want)
			}
		}
	}
}

func TestAccessFlagsThatAreRefused(t *testing.T) {
	token := fileOf(t, "token", "secret")
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--header", "x:secret"}, "--header: want NAME=VALUE"},
		{[]string{"--header", ""}, "--header: want NAME=VALUE"},
		{[]string{"--header", "=secret"}, "--header: a header has no name"},
		{[]string{"--header", "authorization: Bearer secret=="}, `--header: the name of a header may have letters, digits, '-', '_' and '.', and no other character as after "authorization"`},
		{[]string{"--header", "grpc-timeout=1S"}, `--header: the header "grpc-timeout" is one that gRPC sets itself`},
		{[]string{"--header", "event-id=1"}, `--header: the header "event-id" differs from call to call: give the id of an event with the call (--event-id, or WithEventID())`},
		{[]string{"--header", "x-bin=secret!"}, "--header: the value of x-bin is not base64"},
		{[]string{"--header", "x=secret\n"}, `--header: the value of the header "x" has a character that is not printable ASCII: give it a name that ends in -bin`},
		{[]string{"--token-file", token, "--header", "Authorization=Basic eA=="}, "--token-file and --header Authorization exclude each other: give only one of them"},
		{[]string{"--tls-cert", "x"}, "--tls-cert and --tls-key belong together: give both"},
		{[]string{"--tls-key", "x"}, "--tls-cert and --tls-key belong together: give both"},
		{[]string{"--tls-cert", "x", "--tls-key", "y", "--insecure"}, "--insecure and --tls-cert exclude each other: give only one of them"},
	} {
		want := test.want + " (run 'receiver-client help echo')"
		if _, err := parseLine(echo, test.args...); fmt.Sprint(err) != want {
			t.Errorf("%q: the error is\n%v, want\n%s", test.args, err, want)
		}
	}
}

// TestAFieldKeepsItsFlag: the flags for authentication give way, so that a script that
// sets the field does what it always did.
func TestAFieldKeepsItsFlag(t *testing.T) {
	every := descriptorOf(t, "every.proto", "Every")
	command := commandOf(every)
	command.Name, command.Flags = "send", []Flag{
		{Name: "header", Field: "string"}, {Name: "token-file", Field: "tags"}, {Name: "client-token-file", Field: "email"},
		{Name: "tls-key", Field: "maybe_string"},
	}
	token := fileOf(t, "token", "secret")
	p, err := parseLine(command, "--header", "mine", "--token-file", "a", "--client-token-file", "b", "--tls-key", "c",
		"--client-header", "x=y", "--client-token-file2", token, "--tls-cert", "cert", "--client-tls-key", "key")
	if err != nil {
		t.Fatal(err)
	}
	want := messageOf(t, every, `{"string": "mine", "tags": ["a"], "email": "b", "maybeString": "c"}`)
	if !proto.Equal(p.request, want) {
		t.Errorf("the request is %v, want %v", p.request, want)
	}
	if a := p.access; a.cert != "cert" || a.key != "key" || a.tokenFile != token || len(a.headers) != 1 {
		t.Errorf("the access is %+v", a)
	}
	out, err := run(t.Context(), []Command{command}, "help", "send")
	for _, line := range []string{"  --header string\n", "  --client-header NAME=VALUE\n", "  --client-token-file2 FILE\n", "  --tls-cert FILE\n", "  --client-tls-key FILE\n"} {
		if !strings.Contains(out, line) || err != nil {
			t.Errorf("help does not have %q: %v\n%s", line, err, out)
		}
	}
	_, err = parseLine(command, "--client-header", "x")
	if want := "--client-header: want NAME=VALUE (run 'receiver-client help send')"; fmt.Sprint(err) != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
}

// TestAServerThatWantsToKnowWhoCalls: the error is about the flags for it, unless one was given.
func TestAServerThatWantsToKnowWhoCalls(t *testing.T) {
	token := fileOf(t, "token", "secret")
	const hint = " (no token was given: see --token-file and --header)"
	sending := metadata.AppendToOutgoingContext(t.Context(), "token", "secret")
	for _, test := range []struct {
		code    codes.Code
		ctx     context.Context
		options []client.Option
		args    []string
		want    string
	}{
		{codes.Unauthenticated, t.Context(), nil, nil, "Unauthenticated: no" + hint},
		{codes.PermissionDenied, t.Context(), nil, nil, "PermissionDenied: no" + hint},
		{codes.PermissionDenied, t.Context(), nil, []string{"--event-id", "mine"}, "PermissionDenied: no" + hint},
		{codes.NotFound, t.Context(), nil, nil, "NotFound: no"},
		{codes.Unauthenticated, t.Context(), nil, []string{"--token-file", token}, "Unauthenticated: no"},
		{codes.Unauthenticated, t.Context(), nil, []string{"--header", "x=y"}, "Unauthenticated: no"},
		{codes.Unauthenticated, t.Context(), []client.Option{client.Once()}, nil, "Unauthenticated: no"},
		{codes.Unauthenticated, sending, nil, nil, "Unauthenticated: no"},
	} {
		commands := []Command{receive(t, answer(nil, status.Error(test.code, "no")))}
		env := envOf(nil, io.Discard, append([]string{"receive"}, test.args...)...)
		env.Options = test.options
		if err := Run(test.ctx, env, commands); fmt.Sprint(err) != "receive: "+test.want {
			t.Errorf("%q: the error is %q, want %q", test.args, err, test.want)
		}
	}
	_, err := run(t.Context(), []Command{echo}, "echo", "--addr", serve(t, mirror), "--token-file", "/no/such/file")
	if want := "echo: Unauthenticated: the token file /no/such/file: no such file or directory"; fmt.Sprint(err) != want {
		t.Errorf("the error is %q, want %q", err, want)
	}
}

func TestACertificateOfTheClient(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"jerry"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := fileOf(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	keyFile := fileOf(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	addr := serve(t, func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		caller, _ := peer.FromContext(ctx)
		return nil, status.Error(codes.Aborted, caller.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0].DNSNames[0])
	}, grpc.Creds(credentials.NewTLS(&tls.Config{ClientAuth: tls.RequireAnyClientCert,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})))
	_, err = run(t.Context(), []Command{echo}, "echo", "--addr", addr, "--ca", cert, "--tls-cert", cert, "--tls-key", keyFile)
	if fmt.Sprint(err) != "echo: Aborted: jerry" {
		t.Errorf("the error is %v", err)
	}
}
