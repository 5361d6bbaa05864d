package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

func (s *settings) credentials() (credentials.TransportCredentials, error) {
	files := &tlsFiles{rootCAs: s.rootCAs, cert: s.cert, key: s.key}
	named := s.rootCAs != "" || s.cert != "" || s.key != ""
	if s.tls == nil && !named && (s.insecure || local(s.target)) {
		return insecure.NewCredentials(), nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.tls != nil {
		config = s.tls.Clone()
	}
	if !named {
		return credentials.NewTLS(config), nil
	}
	if err := files.read(); err != nil {
		return nil, err
	}
	return rereading{credentials.NewTLS(config), config, files}, nil
}

// rereading are credentials that read their files again for each connection, so that
// files may be replaced while the program runs.
type rereading struct {
	credentials.TransportCredentials // without what is in the files
	config                           *tls.Config
	files                            *tlsFiles
}

// ClientHandshake is that of TLS. If the files can't be used, it takes what was in them
// before, and if the server then refuses that, the error says both.
func (r rereading) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	invalid := r.files.read()
	conn, info, err := credentials.NewTLS(r.files.apply(r.config)).ClientHandshake(ctx, authority, raw)
	if err != nil && invalid != nil {
		err = fmt.Errorf("%w (with what was read before, because of %w)", err, invalid)
	}
	return conn, info, err
}

func (r rereading) Clone() credentials.TransportCredentials { return r }

// tlsFiles are the files that options name, and what was last read from them.
type tlsFiles struct {
	rootCAs, cert, key string // "" for none

	mu          sync.Mutex
	roots       *x509.CertPool
	certificate *tls.Certificate
}

// read reads the files. What can't be used stays as it was.
func (f *tlsFiles) read() error {
	roots, rootsErr := f.readRoots()
	certificate, certErr := f.readCertificate()
	f.mu.Lock()
	defer f.mu.Unlock()
	if rootsErr == nil {
		f.roots = roots
	}
	if certErr == nil {
		f.certificate = certificate
	}
	return cmp.Or(rootsErr, certErr)
}

func (f *tlsFiles) readRoots() (*x509.CertPool, error) {
	if f.rootCAs == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(f.rootCAs)
	if err != nil {
		return nil, fmt.Errorf("root certificates: %w", err)
	}
	if bytes.Count(pem, []byte("-----BEGIN ")) != bytes.Count(pem, []byte("-----END ")) {
		return nil, fmt.Errorf("root certificates: %s ends within a certificate", f.rootCAs)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("root certificates: %s has no certificate in PEM format", f.rootCAs)
	}
	return roots, nil
}

func (f *tlsFiles) readCertificate() (*tls.Certificate, error) {
	switch {
	case f.cert == "" && f.key == "":
		return nil, nil
	case f.cert == "" || f.key == "":
		return nil, errors.New("the client's certificate and its key go together: name the files of both")
	}
	certificate, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil { // perhaps both were replaced between one and the other
		certificate, err = tls.LoadX509KeyPair(f.cert, f.key)
	}
	if err != nil {
		return nil, fmt.Errorf("the client's certificate %s and key %s: %w", f.cert, f.key, err)
	}
	return &certificate, nil
}

// apply returns a configuration with what is in the files.
func (f *tlsFiles) apply(to *tls.Config) *tls.Config {
	config := to.Clone()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.roots != nil {
		config.RootCAs = f.roots
	}
	if certificate := f.certificate; certificate != nil {
		// Not Certificates, of which one that the server's CAs did not sign is not sent:
		// then the server's error would be that there is none.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	return config
}
