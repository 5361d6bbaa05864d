package orders

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"
)

// Mode is a way to run a server, and to reach it.
type Mode struct {
	Scheme      string   // of the HTTP port: http or https
	Flags       []string // of the server
	Certificate *Certificate
}

// Modes returns both modes, without and with TLS. Short tests take only the one with TLS.
func Modes(t testing.TB) map[string]Mode {
	certificate := certify(t)
	modes := map[string]Mode{
		"TLS": {"https", []string{"--tls-cert", certificate.File, "--tls-key", certificate.Key}, &certificate},
	}
	if !testing.Short() {
		modes["plaintext"] = Mode{Scheme: "http"}
	}
	return modes
}

// Certificate is one that a server signs itself, as clients need it.
type Certificate struct {
	File, Key string // in PEM format
	PublicKey string // the SHA-256 of its public key in base64, by which Chromium takes it
}

// certify makes a certificate for this machine.
func certify(t testing.TB) Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(90 * 24 * time.Hour),
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(public)
	return Certificate{
		File:      writeFile(t, "server.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})),
		Key:       writeFile(t, "server.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		PublicKey: base64.StdEncoding.EncodeToString(digest[:]),
	}
}
