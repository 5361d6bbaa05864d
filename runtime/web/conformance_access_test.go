package web_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/guard"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// addKey adds an API key to a file, and returns it.
func addKey(t *testing.T, file string, args ...string) string {
	t.Helper()
	var out strings.Builder
	getenv := func(string) string { return "" }
	if err := guard.Keys("test-server", append([]string{"add", "--keys", file}, args...), getenv, &out); err != nil {
		t.Fatal(err)
	}
	return "Bearer " + strings.TrimSpace(out.String())
}

// Who has no valid key is refused by all ways, and who has one is known to the handler.
func TestKeysAreAskedForByAllWays(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys")
	valid := addKey(t, file, "all", "--all-sources", "--tails")
	ofOne := addKey(t, file, "one", "--source", "one")
	revoked := addKey(t, file, "revoked", "--all-sources", "--tails")
	access := guard.Config{Keys: file}
	s := serve(t, nil, access.Option())
	s.service.handles(func(ctx context.Context, _ []string) ([]string, error) { return []string{guard.CallerName(ctx)}, nil })
	if err := guard.Keys("test-server", []string{"revoke", "--keys", file, "revoked"}, func(string) string { return "" }, io.Discard); err != nil {
		t.Fatal(err)
	}
	asGRPC := byGRPC(s.dial(t, s.addr))
	for deadline := time.Now().Add(testTimeout); ; time.Sleep(10 * time.Millisecond) {
		o := asGRPC(soon(t), call{kind: unary, requests: []string{"a"}, metadata: metadata.Pairs("authorization", revoked)})
		if o.status.Code() == codes.Unauthenticated {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a key that was revoked: %v", o.status)
		}
	}
	for _, c := range []struct {
		name    string
		keys    []string
		code    codes.Code
		message string
	}{
		{"none", nil, codes.Unauthenticated, "no valid API key"},
		{"a wrong one", []string{"Bearer x"}, codes.Unauthenticated, "no valid API key"},
		{"one that was revoked", []string{revoked}, codes.Unauthenticated, "no valid API key"},
		{"two", []string{valid, valid}, codes.Unauthenticated, "no valid API key"},
		{"one of another source", []string{ofOne}, codes.PermissionDenied, "source"},
		{"a valid one", []string{valid}, codes.OK, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.each(t, func(t *testing.T, k kind, l lane) {
				md := metadata.MD{}
				md.Append("authorization", c.keys...)
				o := l.call(soon(t), call{kind: k, requests: []string{"a"}, metadata: md})
				if o.status.Code() != c.code || !strings.Contains(o.status.Message(), c.message) {
					t.Errorf("got %v, want %v: %s", o.status, c.code, c.message)
				}
				if c.code == codes.OK && !slices.Equal(o.replies, []string{"all"}) {
					t.Errorf("the handler's caller is %q", o.replies)
				}
				checkHTTP(t, k, l, o, c.code)
			})
		})
	}
}

// A rate that is used up is the same answer by all ways, and says when to come back.
func TestRatesAreBoundedByAllWays(t *testing.T) {
	t.Parallel()
	access := guard.Config{Rate: 0.001, Burst: 1}
	s := serve(t, nil, access.Option())
	s.service.handles(func(context.Context, []string) ([]string, error) { return []string{"b"}, nil })
	if o := byGRPC(s.dial(t, s.addr))(soon(t), call{kind: unary, requests: []string{"a"}}); o.status.Code() != codes.OK {
		t.Fatalf("the first call: %v", o.status)
	}
	s.each(t, func(t *testing.T, k kind, l lane) {
		o := l.call(soon(t), call{kind: k, requests: []string{"a"}})
		if o.status.Code() != codes.ResourceExhausted || len(o.status.Details()) != 1 {
			t.Fatalf("got %v with %v", o.status, o.status.Details())
		}
		retry, _ := o.status.Details()[0].(*errdetails.RetryInfo)
		after := retry.GetRetryDelay().AsDuration()
		if after < 500*time.Second || after > 1001*time.Second {
			t.Errorf("RetryInfo says %v, want about 1000 s", after)
		}
		checkHTTP(t, k, l, o, codes.ResourceExhausted)
		ms := int((after + time.Millisecond - 1) / time.Millisecond)
		if got := o.trailer.Get("grpc-retry-pushback-ms"); !slices.Equal(got, []string{strconv.Itoa(ms)}) {
			t.Errorf("grpc-retry-pushback-ms is %q, want %d", got, ms)
		}
		if l.inStatus && k == unary {
			seconds := int((after + time.Second - 1) / time.Second)
			if got := o.header.Get("retry-after"); !slices.Equal(got, []string{strconv.Itoa(seconds)}) {
				t.Errorf("Retry-After is %q, want %d", got, seconds)
			}
		}
	})
}

// Interceptors of the user see every call once, whichever way it comes, and can refuse it.
func TestInterceptorsRunByAllWays(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	saw := func(ctx context.Context, what string) error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, what)
		if len(metadata.ValueFromIncomingContext(ctx, "refuse")) > 0 {
			return status.Error(codes.FailedPrecondition, "refused")
		}
		return nil
	}
	s := serve(t, nil,
		server.UnaryInterceptors(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if err := saw(ctx, "unary "+info.FullMethod); err != nil {
				return nil, err
			}
			return next(ctx, request)
		}),
		server.StreamInterceptors(func(impl any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			what := "stream " + info.FullMethod + " " + strconv.FormatBool(info.IsClientStream) + " " + strconv.FormatBool(info.IsServerStream)
			if err := saw(stream.Context(), what); err != nil {
				return err
			}
			return next(impl, stream)
		}))
	s.service.handles(func(context.Context, []string) ([]string, error) { return []string{"b"}, nil })
	s.each(t, func(t *testing.T, k kind, l lane) {
		want := "stream " + k.method() + " " + strconv.FormatBool(k.clientStreams) + " " + strconv.FormatBool(k.serverStreams)
		if k == unary {
			want = "unary " + k.method()
		}
		for _, code := range []codes.Code{codes.OK, codes.FailedPrecondition} {
			seen = nil
			md := metadata.MD{}
			if code != codes.OK {
				md.Set("refuse", "yes")
			}
			o := l.call(soon(t), call{kind: k, requests: []string{"a"}, metadata: md})
			if o.status.Code() != code {
				t.Errorf("got %v, want %v", o.status, code)
			}
			mu.Lock()
			if !slices.Equal(seen, []string{want}) {
				t.Errorf("interceptors saw %q, want %q", seen, want)
			}
			mu.Unlock()
			checkHTTP(t, k, l, o, code)
		}
	})
}

// Observers see each call once, whichever way it comes, with the code that the caller gets.
func TestObserversSeeCallsByAllWays(t *testing.T) {
	t.Parallel()
	type seen struct {
		method string
		within bool // the context that Begin returned
		code   codes.Code
	}
	type beginKey struct{}
	ends := make(chan seen, 10)
	s := serve(t, nil, server.Observers(server.Observer{RPC: func(call server.Call) server.RPCObserver {
		return server.RPCObserver{
			Begin: func(ctx context.Context) context.Context { return context.WithValue(ctx, beginKey{}, call.Method) },
			End: func(ctx context.Context, code codes.Code, _ time.Duration) {
				ends <- seen{call.Method, ctx.Value(beginKey{}) == call.Method, code}
			},
		}
	}}))
	s.each(t, func(t *testing.T, k kind, l lane) {
		for _, answer := range []error{nil, status.Error(codes.NotFound, "no"), context.Canceled} {
			s.service.handles(func(ctx context.Context, _ []string) ([]string, error) {
				if ctx.Value(beginKey{}) != k.method() {
					t.Error("the handler is not in the context of the observer")
				}
				return []string{"b"}, answer
			})
			o := l.call(soon(t), call{kind: k, requests: []string{"a"}})
			select {
			case got := <-ends:
				if want := (seen{k.method(), true, o.status.Code()}); got != want {
					t.Errorf("the observer saw %v, want %v", got, want)
				}
			case <-time.After(testTimeout):
				t.Error("the observer saw nothing")
			}
		}
		if len(ends) > 0 {
			t.Errorf("the observer also saw %v", <-ends)
		}
	})
}

// Rules of requests hold by all ways, and their errors have details.
func TestRulesHoldByAllWays(t *testing.T) {
	t.Parallel()
	violation := &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "payload.body", Description: "is wrong"}}}
	s := serve(t, func(c *settings) {
		c.rules = func(request proto.Message) error {
			if textOf(request.(*testpb.SimpleRequest)) != "wrong" {
				return nil
			}
			answer := status.New(codes.InvalidArgument, "the request is wrong").Proto()
			answer.Details = append(answer.Details, wrapped(t, violation))
			return status.FromProto(answer).Err()
		}
	})
	s.service.handles(func(_ context.Context, requests []string) ([]string, error) {
		if slices.Contains(requests, "wrong") {
			t.Error("a wrong request reached the handler")
		}
		return []string{"b"}, nil
	})
	s.each(t, func(t *testing.T, k kind, l lane) {
		for text, want := range map[string]codes.Code{"right": codes.OK, "wrong": codes.InvalidArgument} {
			o := l.call(soon(t), call{kind: k, requests: []string{text}})
			if o.status.Code() != want || want != codes.OK && !hasDetails(o.status, violation) {
				t.Errorf("%s: got %v with %v", text, o.status, o.status.Details())
			}
			checkHTTP(t, k, l, o, want)
		}
	})
}

// keeper keeps what it gets.
type keeper chan server.Refused

func (k keeper) Keep(_ context.Context, refused server.Refused) { k <- refused }

func (keeper) Run(ctx context.Context, _ func(context.Context, string, []byte) error) error {
	<-ctx.Done()
	return nil
}

// A request that is refused as invalid is kept as a client of gRPC would have sent it.
func TestInvalidRequestsAreKeptByAllWays(t *testing.T) {
	t.Parallel()
	kept := make(keeper, 10)
	s := serve(t, nil, server.KeepRefused(kept))
	s.service.handles(func(context.Context, []string) ([]string, error) {
		return nil, status.Error(codes.InvalidArgument, "no such thing")
	})
	s.eachOf(t, []kind{unary, fromClient, bothWays}, func(t *testing.T, k kind, l lane) {
		requests := []string{"a"}
		if k.clientStreams {
			requests = []string{"b", "a"} // the last one is kept
		}
		o := l.call(soon(t), call{kind: k, requests: requests})
		select {
		case refused := <-kept:
			if refused.Method != k.method() || !bytes.Equal(refused.Request, encoded(t, "a")) || status.Code(refused.Err) != o.status.Code() {
				t.Errorf("kept %q of %s: %v", refused.Request, refused.Method, refused.Err)
			}
		case <-time.After(testTimeout):
			t.Errorf("nothing is kept of a call that ended with %v", o.status)
		}
	})
	// JSON that is not a request has no such form. The one before it was not refused.
	frames := append(frame(0, []byte("{}")), frame(0, []byte("{"))...)
	response, answer, err := post(soon(t), s.client(t, false), "http://"+s.http+fromClient.method(), "application/connect+json", frames)
	if err != nil {
		t.Fatal(err)
	}
	if got := inEndOfStream(response, answer); got.Code() != codes.InvalidArgument {
		t.Errorf("JSON that is not complete: %v", got)
	}
	if len(kept) > 0 {
		t.Errorf("also kept %v", <-kept)
	}
}

// issued is a certificate with its key.
type issued struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// issue makes a certificate, signed by another or by itself.
func issue(t *testing.T, by *issued, name string) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        by == nil, BasicConstraintsValid: true,
	}
	own := &issued{template, key}
	if by == nil {
		by = own
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	if own.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return own
}

func (i *issued) forTLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{i.certificate.Raw}, PrivateKey: i.key}
}

// write writes the certificate and its key to files in PEM.
func (i *issued) write(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: i.certificate.Raw}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// Handlers see who calls in the same place, whichever way the call comes: its address, and
// the certificate that it showed.
func TestHandlersSeeTheirPeersByAllWays(t *testing.T) {
	t.Parallel()
	ca := issue(t, nil, "ca")
	s := serve(t, func(c *settings) {
		dir := t.TempDir()
		c.TLSCert, c.TLSKey = issue(t, ca, "server").write(t, dir, "server")
		c.TLSClientCA, _ = ca.write(t, dir, "ca")
	})
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)
	s.tls = &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{issue(t, ca, "caller").forTLS()}}
	s.each(t, func(t *testing.T, k kind, l lane) {
		var from *peer.Peer
		s.service.handles(func(ctx context.Context, _ []string) ([]string, error) {
			from, _ = peer.FromContext(ctx)
			return []string{"b"}, nil
		})
		if o := l.call(soon(t), call{kind: k, requests: []string{"a"}}); o.status.Code() != codes.OK {
			t.Fatalf("the call ended with %v", o.status)
		}
		if at, ok := from.Addr.(*net.TCPAddr); !ok || !at.IP.IsLoopback() || at.Port == 0 {
			t.Errorf("the address is %v", from.Addr)
		}
		info, ok := from.AuthInfo.(credentials.TLSInfo)
		if !ok {
			t.Fatalf("the handler has %T of its peer", from.AuthInfo)
		}
		if shown := info.State.PeerCertificates; len(shown) != 1 || shown[0].Subject.CommonName != "caller" || len(info.State.VerifiedChains) == 0 {
			t.Errorf("the certificate is %v", shown)
		}
		if info.SecurityLevel != credentials.PrivacyAndIntegrity {
			t.Errorf("the security level is %v", info.SecurityLevel)
		}
	})
	stranger := issue(t, nil, "stranger")
	s.tls = &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{stranger.forTLS()}}
	s.eachOf(t, []kind{unary}, func(t *testing.T, k kind, l lane) {
		s.service.handles(func(context.Context, []string) ([]string, error) {
			t.Error("a client that nobody knows reached the handler")
			return []string{"b"}, nil
		})
		if o := l.call(soon(t), call{kind: k, requests: []string{"a"}}); o.status.Code() == codes.OK {
			t.Error("a client that nobody knows got an answer")
		}
	})
}
