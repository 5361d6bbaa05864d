package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
)

// certificates are what a server shows to its clients, and what it asks of theirs.
type certificates struct {
	files []string // of the certificate, its key and, if there are some, the clients' CAs
	flags []string // that name them; nil for a server of one's own
	log   *slog.Logger

	current atomic.Pointer[loaded]

	reminded map[string]time.Time // when it was last logged that something ends, by its line
}

// certificateWatch is the name of the watch of certificates.
const certificateWatch = "certificates"

// loaded is what was read from the files.
type loaded struct {
	config *tls.Config
	leaf   *x509.Certificate // the server's
	ends   []ending          // the first is that of the server's certificates
}

// ending is the end of a certificate.
type ending struct {
	file, subject string
	at            time.Time
}

func certificateFiles(cert, key, clientCA string) []string {
	if clientCA == "" {
		return []string{cert, key}
	}
	return []string{cert, key, clientCA}
}

// start loads the files for the first time.
func (c *certificates) start() (*watched, error) {
	w, err := watch{certificateWatch, c.files, c.load}.start(c.log)
	if missing := (*os.PathError)(nil); errors.As(err, &missing) {
		return nil, fmt.Errorf("%s: %w", c.name(slices.Index(c.files, missing.Path)), missing.Err)
	}
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(c.files[1]); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o004 != 0 {
		c.log.Warn("every user of this machine can read the key: take that away (chmod o-r, or defaultMode: 0440 of a volume in Kubernetes)",
			"file", c.files[1], "mode", info.Mode().Perm().String())
	}
	w.each = c.remind
	return w, nil
}

// credentials returns credentials of what is current when a connection begins.
func (c *certificates) credentials() credentials.TransportCredentials {
	return credentials.NewTLS(c.config("h2"))
}

// config returns a configuration of what is current when a connection begins, for
// application protocols.
func (c *certificates) config(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			config := c.current.Load().config.Clone()
			config.NextProtos = protocols
			return config, nil
		},
	}
}

// load takes over what is in the files, if all of it can be used.
func (c *certificates) load(contents [][]byte) error {
	chain, err := c.parse(0, contents[0])
	if err != nil {
		return err
	}
	certificate, err := c.pair(contents[0], contents[1])
	if err != nil {
		return err
	}
	if err := c.replaceable(chain[0]); err != nil {
		return err
	}
	next := &loaded{
		config: &tls.Config{
			MinVersion:   tls.VersionTLS12,
			Certificates: []tls.Certificate{certificate},
		},
		leaf: chain[0],
		ends: []ending{endOf(c.files[0], slices.MinFunc(chain, byEnd))}, // they are used together
	}
	if len(contents) > 2 {
		authorities, err := c.parse(2, contents[2])
		if err != nil {
			return err
		}
		next.config.ClientAuth = tls.RequireAndVerifyClientCert
		next.config.ClientCAs = x509.NewCertPool()
		for _, authority := range authorities {
			next.config.ClientCAs.AddCert(authority)
		}
		// A session that is resumed is not verified again, whatever CAs there are now.
		next.config.SessionTicketsDisabled = true
		next.ends = append(next.ends, endOf(c.files[2], slices.MaxFunc(authorities, byEnd))) // one is enough
	}
	c.current.Store(next)
	now := time.Now()
	if now.Before(next.leaf.NotBefore) {
		c.log.Error("a certificate is not valid yet: is the clock right?", "file", c.files[0], "begins", next.leaf.NotBefore.Format(time.RFC3339))
	}
	c.remind(now)
	return nil
}

// name returns how errors name a file.
func (c *certificates) name(i int) string {
	if c.flags == nil {
		return c.files[i]
	}
	return c.flags[i] + " " + c.files[i]
}

// parse returns the certificates in a PEM file, of which there is at least one. What
// is not a certificate is an error: it may be half of one.
func (c *certificates) parse(i int, content []byte) (all []*x509.Certificate, err error) {
	begins := bytes.Count(content, []byte("-----BEGIN "))
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		begins--
		if block.Type != "CERTIFICATE" {
			continue // a file may have the key, too
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", c.name(i), len(all)+1, err)
		}
		all = append(all, certificate)
	}
	switch {
	case begins > 0:
		return nil, fmt.Errorf("%s is not complete, or damaged: a block in it can't be read", c.name(i))
	case len(all) == 0 && bytes.Contains(content, []byte("PRIVATE KEY-----")):
		return nil, fmt.Errorf("%s has a key, but no certificate: name the file of the certificate", c.name(i))
	case len(all) == 0:
		return nil, fmt.Errorf("%s has no certificate in PEM format", c.name(i))
	}
	return all, nil
}

// pair returns a certificate with its key.
func (c *certificates) pair(cert, key []byte) (tls.Certificate, error) {
	certificate, err := tls.X509KeyPair(cert, key)
	switch {
	case err == nil:
		return certificate, nil
	case bytes.Contains(key, []byte("ENCRYPTED")):
		return certificate, fmt.Errorf("%s is encrypted: give a key without a passphrase, such as openssl pkey writes", c.name(1))
	case !bytes.Contains(key, []byte("PRIVATE KEY-----")):
		return certificate, fmt.Errorf("%s has no private key in PEM format", c.name(1))
	default:
		return certificate, fmt.Errorf("%s does not go with %s: %s", c.name(1), c.name(0), strings.TrimPrefix(err.Error(), "tls: "))
	}
}

// replaceable returns an error if a certificate is not valid now, but the one that it
// would replace is.
func (c *certificates) replaceable(by *x509.Certificate) error {
	now := time.Now()
	current := c.current.Load()
	if current == nil || !valid(current.leaf, now) || valid(by, now) {
		return nil
	}
	return fmt.Errorf("%s is valid from %s to %s only", c.name(0), by.NotBefore.Format(time.RFC3339), by.NotAfter.Format(time.RFC3339))
}

func valid(c *x509.Certificate, at time.Time) bool {
	return !at.Before(c.NotBefore) && !at.After(c.NotAfter)
}

func byEnd(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }

func endOf(file string, c *x509.Certificate) ending {
	return ending{file, c.Subject.String(), c.NotAfter}
}

const (
	// From when on the end of a certificate is worth a warning.
	endsSoon = 14 * 24 * time.Hour
	// How often it is logged.
	remindEvery = 24 * time.Hour
)

// remind logs which certificates have ended or end soon, each once a day.
func (c *certificates) remind(now time.Time) {
	last := c.reminded
	c.reminded = map[string]time.Time{}
	for _, end := range c.current.Load().ends {
		left := end.at.Sub(now)
		level, message := slog.LevelWarn, "a certificate ends soon: replace its file"
		switch {
		case left > endsSoon:
			continue
		case left <= 0:
			level, message = slog.LevelError, "a certificate has ended: replace its file"
		}
		key := fmt.Sprint(message, end)
		if logged, ok := last[key]; ok && now.Sub(logged) < remindEvery {
			c.reminded[key] = logged
			continue
		}
		c.reminded[key] = now
		c.log.Log(context.Background(), level, message, "file", end.file, "subject", end.subject,
			"ends", end.at.Format(time.RFC3339), "days", math.Floor(left.Hours()/24))
	}
}
