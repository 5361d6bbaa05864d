package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/peer"
)

// issued is a certificate and its key, each in PEM format.
type issued struct {
	certificate *x509.Certificate
	signer      *ecdsa.PrivateKey
	cert, key   []byte
}

// issue returns a certificate for a client of this name, and for a server on this
// machine, that an authority has signed; or, if by is nil, one of a new authority.
func issue(t *testing.T, by *issued, name string, from, to time.Duration) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(from), NotAfter: now.Add(to),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        by == nil, BasicConstraintsValid: true,
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.certificate, by.signer
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{certificate, key,
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})}
}

const year = 365 * 24 * time.Hour

// certificate writes a new self-signed certificate for this machine.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	own, dir := issue(t, nil, "localhost", -time.Hour, year), t.TempDir()
	return write(t, filepath.Join(dir, "cert.pem"), own.cert), write(t, filepath.Join(dir, "key.pem"), own.key)
}

func write(t *testing.T, file string, content ...[]byte) string {
	t.Helper()
	if err := os.WriteFile(file, slices.Concat(content...), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCertificatesThatCannotBeUsedAreReportedInOneLine(t *testing.T) {
	cert, key := certificate(t)
	foreignCert, foreign := certificate(t)
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.pem")
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	half := write(t, filepath.Join(dir, "half.pem"), text, text[:len(text)/2])
	damaged := write(t, filepath.Join(dir, "damaged.pem"), []byte(strings.Replace(string(text), "M", "!", 1)))
	hollow := write(t, filepath.Join(dir, "hollow.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no")}))
	secret := write(t, filepath.Join(dir, "secret.pem"), pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("no")}))
	empty := write(t, filepath.Join(dir, "empty.pem"))
	for name, test := range map[string]struct{ cert, key, clientCA, want string }{
		"no certificate":          {missing, key, "", "--tls-cert " + missing + ": no such file"},
		"no key":                  {cert, missing, "", "--tls-key " + missing + ": no such file"},
		"no CA":                   {cert, key, missing, "--tls-client-ca " + missing + ": no such file"},
		"an empty certificate":    {empty, key, "", "--tls-cert " + empty + " has no certificate in PEM format"},
		"an empty key":            {cert, empty, "", "--tls-key " + empty + " has no private key in PEM format"},
		"an empty CA":             {cert, key, empty, "--tls-client-ca " + empty + " has no certificate in PEM format"},
		"half a certificate":      {half, key, "", "--tls-cert " + half + " is not complete"},
		"a damaged certificate":   {damaged, key, "", "--tls-cert " + damaged + " is not complete, or damaged"},
		"half a CA":               {cert, key, half, "--tls-client-ca " + half + " is not complete"},
		"no content":              {cert, key, hollow, "--tls-client-ca " + hollow + ": certificate 1: "},
		"a key that isn't one":    {cert, cert, "", "--tls-key " + cert + " has no private key in PEM format"},
		"a key with a passphrase": {cert, secret, "", "--tls-key " + secret + " is encrypted: give a key without a passphrase"},
		"the key of another":      {cert, foreign, "", "--tls-key " + foreign + " does not go with --tls-cert " + cert + ": private key does not match public key"},
		"one for the other":       {key, cert, "", "--tls-cert " + key + " has a key, but no certificate: name the file of the certificate"},
		"a folder for a file":     {dir, key, "", "--tls-cert " + dir + ": is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			config := free()
			config.TLSCert, config.TLSKey, config.TLSClientCA = test.cert, test.key, test.clientCA
			_, err := Listen(config, tested(&service{}))
			oneLine(t, err, test.want)
		})
	}
	// One file may have both.
	content, err := os.ReadFile(foreign)
	if err != nil {
		t.Fatal(err)
	}
	foreignText, err := os.ReadFile(foreignCert)
	if err != nil {
		t.Fatal(err)
	}
	both := write(t, filepath.Join(dir, "both.pem"), content, foreignText)
	config := free()
	config.TLSCert, config.TLSKey = both, both
	serve(t, config, tested(&service{}))
}

// files are the files of a server, and what a test does with them.
type tlsFiles struct {
	*testing.T
	*certificates
	*watched
	text *strings.Builder
	ca   *issued
}

// loadTLS loads the files of a server, which asks for certificates of clients.
func loadTLS(t *testing.T, from, to time.Duration) *tlsFiles {
	t.Helper()
	dir, text := t.TempDir(), &strings.Builder{}
	ca := issue(t, nil, "the CA", -year, 3*year)
	own := issue(t, ca, "first", from, to)
	files := certificateFiles(write(t, filepath.Join(dir, "tls.crt"), own.cert), write(t, filepath.Join(dir, "tls.key"), own.key), write(t, filepath.Join(dir, "ca.crt"), ca.cert))
	c := &certificates{files: files, log: slog.New(slog.NewTextHandler(text, nil))}
	w, err := c.start()
	if err != nil {
		t.Fatal(err)
	}
	return &tlsFiles{t, c, w, text, ca}
}

func (f *tlsFiles) file(i int) string { return f.certificates.files[i] }

func (f *tlsFiles) wantServed(name string) {
	f.Helper()
	if got := f.current.Load().leaf.Subject.CommonName; got != name {
		f.Errorf("the server has the certificate of %q, want %q; the log is\n%s", got, name, f.text)
	}
}

func TestAWrongPairKeepsTheOldOne(t *testing.T) {
	for name, test := range map[string]struct {
		replace func(f *tlsFiles, next *issued)
		want    string // of the warning
	}{
		"another's key": {func(f *tlsFiles, next *issued) { write(f.T, f.file(0), next.cert) }, "tls.key does not go with"},
		"half a file":   {func(f *tlsFiles, next *issued) { write(f.T, f.file(0), next.cert[:200]) }, "tls.crt is not complete"},
		"an empty file": {func(f *tlsFiles, next *issued) { write(f.T, f.file(1)) }, "tls.key has no private key"},
		"no file":       {func(f *tlsFiles, next *issued) { _ = os.Remove(f.file(1)) }, "tls.key: no such file"},
		"an empty CA":   {func(f *tlsFiles, next *issued) { write(f.T, f.file(2)) }, "ca.crt has no certificate"},
		"one that ended": {func(f *tlsFiles, next *issued) {
			ended := issue(f.T, f.ca, "ended", -year, -time.Hour)
			write(f.T, f.file(0), ended.cert)
			write(f.T, f.file(1), ended.key)
		}, "tls.crt is valid from "},
		"one that is to begin": {func(f *tlsFiles, next *issued) {
			early := issue(f.T, f.ca, "early", time.Hour, year)
			write(f.T, f.file(0), early.cert)
			write(f.T, f.file(1), early.key)
		}, "tls.crt is valid from "},
	} {
		t.Run(name, func(t *testing.T) {
			f := loadTLS(t, -time.Hour, year)
			next := issue(t, f.ca, "next", -time.Hour, year)
			test.replace(f, next)
			f.lookNow()
			f.wantServed("first")
			if log := f.text.String(); !strings.Contains(log, test.want) || strings.Contains(log, "flag") {
				t.Errorf("the log has no %q:\n%s", test.want, log)
			}
			write(t, f.file(0), next.cert)
			write(t, f.file(1), next.key)
			write(t, f.file(2), f.ca.cert)
			f.lookNow()
			f.wantServed("next")
			if got := (FileStats{f.reloads.Load(), f.failures.Load()}); got != (FileStats{1, 1}) {
				t.Errorf("the counts are %+v", got)
			}
		})
	}
}

// A server whose certificate has ended takes any other that it can read.
func TestACertificateThatHasEndedIsReplacedByAny(t *testing.T) {
	f := loadTLS(t, -year, -time.Minute)
	f.wantServed("first")
	next := issue(t, f.ca, "next", time.Hour, year)
	write(t, f.file(0), next.cert)
	write(t, f.file(1), next.key)
	f.lookNow()
	f.wantServed("next")
	if !strings.Contains(f.text.String(), "is not valid yet") {
		t.Errorf("the log is\n%s", f.text)
	}
}

func TestTheEndOfACertificateIsLoggedOnceADay(t *testing.T) {
	const day = 24 * time.Hour
	f := loadTLS(t, -time.Hour, 20*day)
	now := time.Now()
	lines := func() (warnings, errors int) {
		return strings.Count(f.text.String(), "level=WARN"), strings.Count(f.text.String(), "level=ERROR")
	}
	for _, step := range []struct {
		after            time.Duration
		warnings, errors int
	}{
		{0, 0, 0}, {5 * day, 0, 0}, {6*day + time.Minute, 1, 0}, {6*day + time.Hour, 1, 0}, {7*day + time.Hour, 2, 0},
		{19 * day, 3, 0}, {20*day + time.Minute, 3, 1}, {20*day + time.Hour, 3, 1}, {21*day + time.Hour, 3, 2},
	} {
		f.remind(now.Add(step.after))
		if warnings, errors := lines(); warnings != step.warnings || errors != step.errors {
			t.Fatalf("after %s there are %d warnings and %d errors, want %d and %d:\n%s", step.after, warnings, errors, step.warnings, step.errors, f.text)
		}
	}
	if log := f.text.String(); !strings.Contains(log, "tls.crt subject=\"CN=first\" ends="+f.ends().Format(time.RFC3339)+" days=13") {
		t.Errorf("the log is\n%s", log)
	}
	// One that comes with a chain ends with the first of that, and clients' CAs with the last.
	next := issue(t, f.ca, "next", -time.Hour, year)
	soon, old := issue(t, nil, "the middle", -time.Hour, 5*day), issue(t, nil, "the old CA", -time.Hour, time.Hour)
	write(t, f.file(0), next.cert, soon.cert)
	write(t, f.file(1), next.key)
	write(t, f.file(2), old.cert, f.ca.cert)
	f.text.Reset()
	f.lookNow()
	if warnings, errors := lines(); warnings != 1 || errors != 0 || !strings.Contains(f.text.String(), "CN=the middle") {
		t.Errorf("the log is\n%s", f.text)
	}
	if !f.ends().Equal(soon.certificate.NotAfter) {
		t.Errorf("the end is %s, want %s", f.ends(), soon.certificate.NotAfter)
	}
	write(t, f.file(2), old.cert)
	f.lookNow()
	if !strings.Contains(f.text.String(), "CN=the old CA") {
		t.Errorf("the log is\n%s", f.text)
	}
}

func TestAKeyThatAllCanReadIsReported(t *testing.T) {
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o440: false, 0o644: true} {
		cert, key := certificate(t)
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		c := &certificates{files: certificateFiles(cert, key, ""), log: slog.New(slog.NewTextHandler(&text, nil))}
		if _, err := c.start(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(text.String(), "every user of this machine can read the key"); got != want {
			t.Errorf("%s: %v, want %v", mode, got, want)
		}
	}
}

// client returns credentials of a client that trusts an authority and shows a
// certificate, if own is not nil.
func (ca *issued) client(own *issued, sessions tls.ClientSessionCache) credentials.TransportCredentials {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool(), ClientSessionCache: sessions}
	config.RootCAs.AddCert(ca.certificate)
	if own != nil {
		pair, err := tls.X509KeyPair(own.cert, own.key)
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, err }
	}
	return credentials.NewTLS(config)
}

// caller is an interceptor that notes who calls.
func caller(to *string) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		*to = ""
		if from, ok := peer.FromContext(ctx); ok {
			if info, ok := from.AuthInfo.(credentials.TLSInfo); ok && len(info.State.VerifiedChains) > 0 {
				*to = info.State.VerifiedChains[0][0].Subject.CommonName
				if info.State.DidResume {
					*to += ", resumed"
				}
			}
		}
		return next(ctx, request)
	}
}

func TestAServerKnowsItsClientsByTheirCertificates(t *testing.T) {
	ca, other := issue(t, nil, "the CA", -time.Hour, year), issue(t, nil, "another CA", -time.Hour, year)
	own, ann, bob := issue(t, ca, "server", -time.Hour, year), issue(t, ca, "ann", -time.Hour, year), issue(t, other, "bob", -time.Hour, year)
	late := issue(t, ca, "late", -year, -time.Hour)
	dir := t.TempDir()
	config := free()
	config.TLSCert, config.TLSKey = write(t, filepath.Join(dir, "tls.crt"), own.cert), write(t, filepath.Join(dir, "tls.key"), own.key)
	config.TLSClientCA = write(t, filepath.Join(dir, "ca.crt"), ca.cert)
	var called string
	config.LogLevel = slog.LevelDebug
	var running *running
	log := logged(t, func() { running = serve(t, config, tested(&service{}), UnaryInterceptors(caller(&called))) })
	// Clients that remember sessions must show their certificates again all the same.
	sessions := map[*issued]tls.ClientSessionCache{nil: nil}
	call := func(as *issued) error {
		if _, ok := sessions[as]; !ok {
			sessions[as] = tls.NewLRUClientSessionCache(0)
		}
		conn := dial(t, running.Addr(), grpc.WithTransportCredentials(ca.client(as, sessions[as])))
		defer conn.Close()
		_, err := testpb.NewTestServiceClient(conn).UnaryCall(soon(t), &testpb.SimpleRequest{})
		return err
	}
	for range 2 {
		if err := call(ann); err != nil || called != "ann" {
			t.Errorf("ann: %v, and the caller is %q", err, called)
		}
	}
	for name, as := range map[string]*issued{"without a certificate": nil, "of another CA": bob, "that has ended": late} {
		if err := call(as); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, reason := range []string{"client didn't provide a certificate", "certificate signed by unknown authority", "certificate has expired"} {
		waitFor(t, reason, func() bool { return strings.Contains(log(), reason) })
	}
	established := dial(t, running.Addr(), grpc.WithTransportCredentials(ca.client(ann, nil)))
	established.Connect()
	if _, err := testpb.NewTestServiceClient(established).UnaryCall(soon(t), &testpb.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}

	write(t, config.TLSClientCA, other.cert)
	waitFor(t, "the new CA", func() bool { return running.Stats().Files[certificateWatch].Reloads == 1 })
	if err := call(bob); err != nil || called != "bob" {
		t.Errorf("bob, whose CA is now there: %v, and the caller is %q", err, called)
	}
	if err := call(ann); err == nil {
		t.Error("ann's CA is gone, but she is let in")
	}
	if _, err := testpb.NewTestServiceClient(established).UnaryCall(soon(t), &testpb.SimpleRequest{}); err != nil || called != "ann" {
		t.Errorf("on a connection from before: %v, and the caller is %q", err, called)
	}
	if ends := running.Stats().CertificateEnds; !ends.Equal(own.certificate.NotAfter) {
		t.Errorf("the certificate ends %s, want %s", ends, own.certificate.NotAfter)
	}
}

// waitFor returns once something has happened.
func waitFor(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); !happened(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come", what)
		}
	}
}

func TestCertificatesOfAServerOfYourOwn(t *testing.T) {
	ca := issue(t, nil, "the CA", -time.Hour, year)
	first, second, ann := issue(t, ca, "first", -time.Hour, year), issue(t, ca, "second", -time.Hour, year), issue(t, ca, "ann", -time.Hour, year)
	dir := t.TempDir()
	cert, key := write(t, filepath.Join(dir, "tls.crt"), first.cert), write(t, filepath.Join(dir, "tls.key"), first.key)
	roots := write(t, filepath.Join(dir, "ca.crt"), ca.cert)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := Certificates(ctx, roots+"s", key, ""); err == nil || err.Error() != roots+"s: no such file or directory" {
		t.Errorf("a missing file: %v", err)
	}
	own, err := Certificates(ctx, cert, key, roots)
	if err != nil {
		t.Fatal(err)
	}
	var called string
	server := grpc.NewServer(grpc.Creds(own), grpc.UnaryInterceptor(caller(&called)))
	testpb.RegisterTestServiceServer(server, &service{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	served := func() string {
		conn := dial(t, listener.Addr().String(), grpc.WithTransportCredentials(ca.client(ann, nil)))
		defer conn.Close()
		var from peer.Peer
		if _, err := testpb.NewTestServiceClient(conn).UnaryCall(soon(t), &testpb.SimpleRequest{}, grpc.Peer(&from)); err != nil {
			t.Fatal(err)
		}
		return from.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0].Subject.CommonName
	}
	if name := served(); name != "first" || called != "ann" {
		t.Errorf("%q serves %q", name, called)
	}
	write(t, cert, second.cert)
	write(t, key, second.key)
	waitFor(t, "the second certificate", func() bool { return served() == "second" })
}
