package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// handshakes are credentials that remember what the last server was like, so that
// a mismatch is reported as what it is. gRPC passes on only the text of an error.
type handshakes struct {
	credentials.TransportCredentials
	seen *seen
}

type seen struct {
	sync.Mutex
	encrypts bool     // whether the client wants TLS
	remote   net.Addr // of the last connection; nil before it
	err      error    // of the last handshake
}

func newHandshakes(inner credentials.TransportCredentials) handshakes {
	return handshakes{inner, &seen{encrypts: inner.Info().SecurityProtocol == "tls"}}
}

// ClientHandshake is that of the credentials.
func (h handshakes) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := h.TransportCredentials.ClientHandshake(ctx, authority, raw)
	h.seen.Lock()
	defer h.seen.Unlock()
	h.seen.remote, h.seen.err = raw.RemoteAddr(), err
	return conn, info, err
}

// Clone returns credentials that remember in the same place.
func (h handshakes) Clone() credentials.TransportCredentials {
	return handshakes{h.TransportCredentials.Clone(), h.seen}
}

// ErrNoServer is the error of [Dial] if nobody takes a connection.
var ErrNoServer = errors.New("no server")

// explain returns the error of a target to which there is no connection, for a
// reason that gRPC gives as text.
func (s *seen) explain(ctx context.Context, target string, reason error) error {
	s.Lock()
	remote, err := s.remote, s.err
	s.Unlock()
	var plain tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	switch {
	case remote == nil:
		return fmt.Errorf("%w at %s: %w", ErrNoServer, target, reason)
	case errors.As(err, &plain):
		return fmt.Errorf("the server at %s does not use TLS, but this client does: give the server a certificate, or connect without TLS (--insecure, or Insecure())", target)
	case errors.As(err, &certificate):
		return fmt.Errorf("the certificate of the server at %s is not accepted: %w (--ca, or RootCAs(), names the certificates to trust)", target, certificate.Err)
	case err != nil:
		return fmt.Errorf("TLS with the server at %s: %w", target, err)
	case s.encrypts: // TLS 1.3 has no refusal of a client in its handshake
		return fmt.Errorf("the server at %s ended the connection after the TLS handshake: it may want a certificate of the client (--tls-cert, or Certificate()), or it is not a gRPC server: %w", target, reason)
	case usesTLS(ctx, remote):
		return fmt.Errorf("the server at %s uses TLS, but this client does not: name the certificates to trust (--ca, or RootCAs()), or those of the system by TLS()", target)
	default:
		return fmt.Errorf("no gRPC server at %s: %w", target, reason)
	}
}

// usesTLS reports whether a server begins a TLS handshake. A server in Go that gets
// plain text just closes the connection. The handshake is never completed, unless
// the certificate is one that the system trusts, and nothing is sent.
func usesTLS(ctx context.Context, remote net.Addr) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, remote.Network(), remote.String())
	if err != nil {
		return false
	}
	defer raw.Close()
	host, _, _ := net.SplitHostPort(remote.String())
	if host == "" {
		host = "localhost"
	}
	conn := tls.Client(raw, &tls.Config{ServerName: host, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12})
	err = conn.HandshakeContext(ctx)
	var certificate *tls.CertificateVerificationError
	var refusal tls.AlertError
	return err == nil || errors.As(err, &certificate) || errors.As(err, &refusal)
}
