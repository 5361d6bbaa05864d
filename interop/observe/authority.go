package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The files of a server's certificate, in its folder, and the flags that name them.
const certFile, keyFile = "tls.crt", "tls.key"

var tlsFlags = []string{"--tls-cert", certFile, "--tls-key", keyFile}

// anyCertificate is the configuration of a client that takes each certificate, since those
// of the server here come and go.
func anyCertificate() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true} //nolint:gosec // see above
}

// putCertificate puts a new certificate of the server into a folder, which ends after a
// time.
func putCertificate(dir string, lasts time.Duration) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "observe"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lasts), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	private, keyErr := x509.MarshalPKCS8PrivateKey(key)
	return errors.Join(err, keyErr,
		replace(dir, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		replace(dir, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})))
}

// replace puts a file in the place of another at once.
func replace(dir, name string, text []byte) error {
	next := filepath.Join(dir, name+".next")
	return errors.Join(os.WriteFile(next, text, 0o600), os.Rename(next, filepath.Join(dir, name)))
}
