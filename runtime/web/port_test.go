package web

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
	"flag"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/peer"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

func TestFlags(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string // that the error says; "" for none
	}{
		{nil, ""},
		{[]string{"--http-addr", "localhost:8080", "--cors-origins", "https://a.example.com, http://localhost:3000"}, ""},
		{[]string{"--cors-origins", "*"}, ""},
		{[]string{"--http-addr", "8080"}, `--http-addr "8080": want host:port`},
		{[]string{"--cors-origins", "a.example.com"}, `"a.example.com" is not an origin`},
		{[]string{"--cors-origins", "https://*.example.com"}, `"https://*.example.com" is not an origin`},
		{[]string{"--cors-origins", "https://a.example.com/"}, `"https://a.example.com/" is not an origin`},
		{[]string{"--cors-origins", "https://A.example.com"}, `"https://A.example.com" is not an origin`},
		{[]string{"--http-addr", "x", "--cors-origins", "y", "--max-calls", "z"}, "--cors-origins"},
	} {
		var config Config
		_, err := server.Parse("test-server", test.args, func(string) string { return "" }, io.Discard, config.Flags)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%q: %v, want %q", test.args, err, test.want)
		}
	}
	var config Config
	var printed bytes.Buffer
	_, err := server.Parse("test-server", []string{"--http-addr", "localhost:8080", "--cors-origins", "https://a.example.com,https://b.example.com", "--print-config"},
		func(string) string { return "" }, &printed, config.Flags)
	if err != flag.ErrHelp || !strings.Contains(printed.String(), "https://a.example.com,https://b.example.com") || len(config.CORSOrigins) != 2 {
		t.Errorf("%v: %s", err, printed.String())
	}
}

func TestOriginsNeedAnAddress(t *testing.T) {
	for flag, web := range map[string]Config{
		"--cors-origins":    {CORSOrigins: []string{"*"}},
		"--webhook-origins": {WebhookOrigins: []string{"*"}},
	} {
		config := server.Defaults("test-server")
		config.Addr = "localhost:0"
		_, err := server.Listen(config, web.Option(), server.Service{Desc: &testpb.TestService_ServiceDesc, Impl: &service{}})
		if err == nil || !strings.HasPrefix(err.Error(), flag+" does nothing without --http-addr") {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

func TestAnAddressThatOthersReachNeedsEncryption(t *testing.T) {
	for _, test := range []struct {
		addr     string
		insecure bool
		want     string
	}{
		{"localhost:0", false, ""},
		{"0.0.0.0:0", true, ""},
		{"0.0.0.0:0", false, "--http-addr 0.0.0.0:0 can be reached from other machines: give --tls-cert and --tls-key, or allow plaintext with --insecure"},
		{"localhost:no", false, "--http-addr localhost:no: "},
	} {
		config := server.Defaults("test-server")
		config.Addr, config.Insecure = "localhost:0", test.insecure
		web := Config{Addr: test.addr}
		listening, err := server.Listen(config, web.Option(), server.Service{Desc: &testpb.TestService_ServiceDesc, Impl: &service{}})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.addr, err, test.want)
		}
		if err == nil {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := listening.Serve(ctx); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestAnAddressInUseIsReported(t *testing.T) {
	used, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	config := server.Defaults("test-server")
	config.Addr = "localhost:0"
	web := Config{Addr: used.Addr().String()}
	_, err = server.Listen(config, web.Option(), server.Service{Desc: &testpb.TestService_ServiceDesc, Impl: &service{}})
	if err == nil || !strings.Contains(err.Error(), "--http-addr "+used.Addr().String()+" is in use") {
		t.Error(err)
	}
}

func TestAnOpenPortIsReported(t *testing.T) {
	s := serveTest(t, &service{}, func(config *server.Config, web *Config) { web.Addr, config.Insecure = "0.0.0.0:0", true })
	if response, answer := post(t, protocolClient(t, false), strings.Replace(s.url, "[::]", "127.0.0.1", 1)+unaryPath, "{}"); response.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", response.Status, answer)
	}
	if want := "anyone who reaches this address can call this server"; strings.Count(s.log.String(), want) != 1 {
		t.Errorf("the log does not warn: %s", s.log)
	}
}

// authority issues certificates into files.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	dir         string
}

func (a *authority) issue(t *testing.T, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.ParseIP("127.0.0.1"), net.ParseIP("::1")},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.certificate, a.key
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate == nil {
		a.certificate, _ = x509.ParseCertificate(der)
		a.key = key
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(a.dir, name+".crt"), filepath.Join(a.dir, name+".key")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestCallsByTLSAreOfKnownClients(t *testing.T) {
	a := &authority{dir: t.TempDir()}
	root, _ := a.issue(t, "root")
	cert, key := a.issue(t, "server")
	var caller string
	s := serveTest(t, &service{unary: func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		from, _ := peer.FromContext(ctx)
		info := from.AuthInfo.(credentials.TLSInfo)
		caller = info.State.VerifiedChains[0][0].Subject.CommonName
		return &testpb.SimpleResponse{}, nil
	}}, func(config *server.Config, _ *Config) {
		config.TLSCert, config.TLSKey, config.TLSClientCA = cert, key, root
	})
	url := strings.Replace(s.url, "http:", "https:", 1)
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	for _, two := range []bool{false, true} {
		for _, known := range []bool{true, false} {
			config := &tls.Config{RootCAs: pool}
			if known {
				pair, err := tls.LoadX509KeyPair(a.issue(t, "ann"))
				if err != nil {
					t.Fatal(err)
				}
				config.Certificates = []tls.Certificate{pair}
			}
			transport := &http.Transport{TLSClientConfig: config, Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(!two)
			transport.Protocols.SetHTTP2(two)
			defer transport.CloseIdleConnections()
			response, err := (&http.Client{Transport: transport}).Post(url+unaryPath, "application/json", strings.NewReader("{}"))
			if known && (err != nil || response.StatusCode != http.StatusOK || response.ProtoMajor == 2 != two || caller != "ann") {
				t.Errorf("HTTP/2 %v: %v, %v, the caller is %q", two, response, err, caller)
			}
			if !known && err == nil {
				t.Errorf("HTTP/2 %v: a client without a certificate gets %s", two, response.Status)
			}
			if err == nil {
				_ = response.Body.Close()
			}
		}
	}
}

func TestPagesOfAllowedOriginsMayCall(t *testing.T) {
	const allowed = "https://app.example.com"
	for _, test := range []struct {
		name    string
		origins []string
		origin  string
		want    string
	}{
		{"none by default", nil, allowed, ""},
		{"allowed", []string{"https://other.example.com", allowed}, allowed, allowed},
		{"not allowed", []string{allowed}, "https://evil.example.com", ""},
		{"a longer name", []string{allowed}, allowed + ".evil.example.com", ""},
		{"any", []string{"*"}, "https://evil.example.com", "*"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serveTest(t, &service{}, func(_ *server.Config, web *Config) { web.CORSOrigins = test.origins })
			preflight, _ := http.NewRequest(http.MethodOptions, s.url+unaryPath, nil)
			preflight.Header.Set("Origin", test.origin)
			preflight.Header.Set("Access-Control-Request-Method", "POST")
			preflight.Header.Set("Access-Control-Request-Headers", "authorization,content-type,event-id,x-grpc-web")
			response, _ := do(t, protocolClient(t, false), preflight)
			if got := response.Header.Get("Access-Control-Allow-Origin"); got != test.want {
				t.Errorf("the preflight allows %q, want %q", got, test.want)
			}
			if test.want != "" && (response.Header.Get("Access-Control-Allow-Headers") != "authorization,content-type,event-id,x-grpc-web" ||
				response.Header.Get("Access-Control-Max-Age") != "7200" || !strings.Contains(strings.Join(response.Header.Values("Vary"), ","), "Origin") && test.want != "*") {
				t.Errorf("the preflight is answered with %v", response.Header)
			}
			if got := response.Header.Get("Access-Control-Allow-Credentials"); got != "" {
				t.Errorf("cookies are allowed: %q", got)
			}
			want := http.StatusOK
			if test.want == "" {
				want = http.StatusForbidden
			}
			if (response.StatusCode == http.StatusForbidden) != (want == http.StatusForbidden) {
				t.Errorf("the preflight is answered with %s", response.Status)
			}
			response, text := post(t, protocolClient(t, false), s.url+unaryPath, "{}", "Origin", test.origin)
			if response.StatusCode != want || (want == http.StatusForbidden) != strings.Contains(text, "--cors-origins") {
				t.Errorf("the call is answered with %s: %s", response.Status, text)
			}
			if got := response.Header.Get("Access-Control-Allow-Origin"); got != test.want {
				t.Errorf("the answer may be read by %q, want %q", got, test.want)
			}
			if exposed := response.Header.Get("Access-Control-Expose-Headers"); test.want != "" && !strings.Contains(exposed, "Grpc-Status") {
				t.Errorf("the page may read %q", exposed)
			}
		})
	}
}
