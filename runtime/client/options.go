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
	dial     []grpc.DialOption
}

// Insecure has the connection go unencrypted also to another machine. Without
// it only a server on this machine is spoken to in the clear.
func Insecure() Option {
	return func(s *settings) { s.insecure = true }
}

// RootCAs has the server's certificate checked against the certificates in a
// PEM file, in place of those the system trusts.
func RootCAs(file string) Option {
	return func(s *settings) { s.rootCAs = file }
}

// TLS has the connection encrypted as config says, for what the other options
// leave out: client certificates, a server name.
func TLS(config *tls.Config) Option {
	return func(s *settings) { s.tls = config }
}

// With hands options of gRPC's own to the connection.
func With(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dial = append(s.dial, options...) }
}

// WithEventID returns a context with which an event is sent under the given id.
// An event sent twice under one id is stored once.
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
			return nil, fmt.Errorf("root certificates: %s holds no certificate in PEM format", s.rootCAs)
		}
	}
	return credentials.NewTLS(config), nil
}

// local reports whether a target of gRPC can only be on this machine.
func local(target string) bool {
	if scheme, _, found := strings.Cut(target, ":"); found {
		switch scheme {
		case "unix", "unix-abstract":
			return true
		case "dns", "passthrough":
			u, err := url.Parse(target)
			if err != nil || u.Host != "" {
				return false // a DNS server of its own may say that localhost is elsewhere
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
