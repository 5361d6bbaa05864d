package client

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/credentials"
)

// writePair writes a certificate and its key where a client reads them.
func writePair(t *testing.T, cert tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, certFile, "CERTIFICATE", cert.Certificate[0])
	writePEM(t, keyFile, "PRIVATE KEY", key)
}

func writePEM(t *testing.T, file, kind string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreReadAgainForEachConnection(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile, roots := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), filepath.Join(dir, "ca.crt")
	var serves tls.Certificate
	listener := tls.NewListener(listen(t), &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &serves, nil },
		ClientAuth:     tls.RequireAnyClientCert,
		MaxVersion:     tls.VersionTLS12, // in which the client waits until the server has seen its certificate
		NextProtos:     []string{"h2"},
	})
	// shown returns the certificate that a new connection shows to the server.
	shown := func(files credentials.TransportCredentials) (string, error) {
		seen := make(chan string, 1)
		go func() {
			defer close(seen)
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			if conn := conn.(*tls.Conn); conn.HandshakeContext(soon(t)) == nil {
				seen <- string(conn.ConnectionState().PeerCertificates[0].Raw)
			}
		}()
		raw, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		_, _, err = files.ClientHandshake(soon(t), listener.Addr().String(), raw)
		return <-seen, err
	}
	// replace replaces all files, and the server's certificate.
	replace := func() string {
		server, trusted := certificate(t, "127.0.0.1")
		own, _ := certificate(t, "ann")
		serves = server
		writePair(t, own, certFile, keyFile)
		if err := os.Rename(trusted, roots); err != nil {
			t.Fatal(err)
		}
		return string(own.Certificate[0])
	}
	own := replace()
	files, err := (&settings{rootCAs: roots, cert: certFile, key: keyFile}).credentials()
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"as they were", func() {}},
		{"replaced", func() { own = replace() }},
		{"a key that does not fit", func() {
			other, _ := certificate(t, "bob")
			writePair(t, other, filepath.Join(dir, "other.crt"), keyFile)
		}},
		{"an empty root", func() { _ = os.WriteFile(roots, nil, 0o600) }},
		{"none", func() { _ = errors.Join(os.Remove(certFile), os.Remove(keyFile), os.Remove(roots)) }},
		{"replaced again", func() { own = replace() }},
	} {
		step.do()
		switch seen, err := shown(files.Clone()); {
		case err != nil:
			t.Errorf("%s: %v", step.name, err)
		case seen != own:
			t.Errorf("%s: the server saw another certificate", step.name)
		}
	}
	replace()
	if err := os.Remove(roots); err != nil {
		t.Fatal(err)
	}
	_, err = shown(files)
	oneLine(t, err, "unknown authority", "with what was read before", roots+": no such file")
}

func TestACertificateThatCannotBeReadIsReportedInOneLine(t *testing.T) {
	dir := t.TempDir()
	cert, roots := certificate(t, "ann")
	other, _ := certificate(t, "bob")
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	writePair(t, cert, certFile, keyFile)
	otherCert, otherKey := filepath.Join(dir, "other.crt"), filepath.Join(dir, "other.key")
	writePair(t, other, otherCert, otherKey)
	half := filepath.Join(dir, "half.crt")
	text, err := os.ReadFile(roots)
	if err := errors.Join(err, os.WriteFile(half, append(text, text[:len(text)/2]...), 0o600)); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing")
	for name, test := range map[string]struct {
		option Option
		want   []string
	}{
		"no key":         {Certificate(certFile, ""), []string{"certificate and its key go together"}},
		"no certificate": {Certificate("", keyFile), []string{"certificate and its key go together"}},
		"missing":        {Certificate(certFile, missing), []string{certFile, missing, "no such file"}},
		"another's key":  {Certificate(certFile, otherKey), []string{certFile, otherKey, "private key does not match"}},
		"half a bundle":  {RootCAs(half), []string{half, "ends within a certificate"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Dial(soon(t), "localhost:1", nil, test.option)
			oneLine(t, err, test.want...)
		})
	}
}
