package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// Option changes how [Dial] connects.
type Option func(*settings)

type settings struct {
	target   string
	insecure bool
	rootCAs  string
	tls      *tls.Config
	once     bool
	token    func(context.Context) (string, error) // nil for none
	headers  []header
	perCall  []func(context.Context, string) (context.Context, error)
	dial     []grpc.DialOption
}

// Insecure allows an unencrypted connection to another machine. Without it only
// the connection to a server on this machine is unencrypted.
func Insecure() Option {
	return func(s *settings) { s.insecure = true }
}

// RootCAs checks the server's certificate against the certificates in a PEM
// file, instead of those that the system trusts.
func RootCAs(file string) Option {
	return func(s *settings) { s.rootCAs = file }
}

// TLS encrypts the connection with config. It is for what the other options
// don't cover, such as client certificates or a server name.
func TLS(config *tls.Config) Option {
	return func(s *settings) { s.tls = config }
}

// With passes gRPC's own options to the connection.
func With(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dial = append(s.dial, options...) }
}

// Once makes each call once, and gives it no deadline. It is for tests, which must
// see what the server answers at first.
func Once() Option {
	return func(s *settings) { s.once = true }
}

// WithEventID returns a context whose calls send their event with the given id, of
// printable ASCII. An event that is sent twice with the same id is stored once.
func WithEventID(ctx context.Context, id string) context.Context {
	return eventid.WithID(ctx, id)
}

func (s *settings) credentials() (credentials.TransportCredentials, error) {
	if s.tls == nil && s.rootCAs == "" && (s.insecure || local(s.target)) {
		return insecure.NewCredentials(), nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.tls != nil {
		config = s.tls.Clone()
	}
	if s.rootCAs != "" {
		pem, err := os.ReadFile(s.rootCAs)
		if err != nil {
			return nil, fmt.Errorf("root certificates: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("root certificates: %s has no certificate in PEM format", s.rootCAs)
		}
	}
	return credentials.NewTLS(config), nil
}

// local reports whether a target of gRPC is certainly on this machine.
func local(target string) bool {
	if scheme, _, ok := strings.Cut(target, ":"); ok {
		switch scheme {
		case "unix", "unix-abstract":
			return true
		case "dns", "passthrough":
			u, err := url.Parse(target)
			if err != nil || u.Host != "" {
				return false // it names a DNS server, for which localhost may be elsewhere
			}
			target = strings.TrimPrefix(u.Path+u.Opaque, "/")
		}
	}
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		host = target
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip.IsLoopback()
}
