package client

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// Option changes how [Dial] connects.
type Option func(*settings)

type settings struct {
	target      string
	insecure    bool
	rootCAs     string
	cert, key   string
	tls         *tls.Config
	once, later bool                                  // each call is made once; the connection is made by the first
	token       func(context.Context) (string, error) // nil for none
	headers     []string                              // names and values
	perCall     []func(context.Context, string) (context.Context, error)
	dial        []grpc.DialOption
}

// Insecure allows an unencrypted connection to another machine. Without it only
// the connection to a server on this machine is unencrypted.
func Insecure() Option {
	return func(s *settings) { s.insecure = true }
}

// RootCAs checks the server's certificate against the certificates in a PEM
// file, instead of those that the system trusts. The file is read again for each
// connection, and may be replaced.
func RootCAs(file string) Option {
	return func(s *settings) { s.rootCAs = file }
}

// Certificate shows a certificate to the server, which may want to know its callers.
// Both files are in PEM format; the first may have more than one certificate, the
// client's own and those that lead to its root. They are read again for each
// connection, and may be replaced, one after the other: until they fit each other again,
// those that were read before are used.
func Certificate(certFile, keyFile string) Option {
	return func(s *settings) { s.cert, s.key = certFile, keyFile }
}

// TLS encrypts the connection with config. It is for what the other options
// don't cover, such as a server name.
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

// local reports whether a target of gRPC is certainly on this machine.
func local(target string) bool {
	if servers := list(target); servers != nil {
		return !slices.ContainsFunc(servers, func(server string) bool { return !local(server) })
	}
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
