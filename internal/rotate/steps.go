//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

// stage is a server under load, and the files that are replaced.
type stage struct {
	server         *server
	callers        *callers
	served, called *volume // the files of the server, and of the callers
	ca             *authority
	keys           keys
	name           string // in the server's certificate
}

// step replaces files. It returns how long it took until that was in effect, or what was
// kept because they were wrong.
type step struct {
	name string
	do   func(*stage) (took time.Duration, kept string, err error)
}

// rotation returns the steps by which all certificates are replaced, also that of the
// CA, for callers and a server that trust each other all the time.
func rotation(n int, hangUp bool) []step {
	var next *authority
	certificates := fmt.Sprintf("certificates %d", n)
	if hangUp {
		certificates += ", and SIGHUP"
	}
	return []step{
		{fmt.Sprintf("CA %d beside the one before", n), func(s *stage) (took time.Duration, _ string, err error) {
			if next, err = newAuthority(fmt.Sprintf("CA %d", n)); err != nil {
				return 0, "", err
			}
			return s.trust(slices.Concat(s.ca.pem, next.pem))
		}},
		{certificates, func(s *stage) (took time.Duration, _ string, err error) {
			s.ca, s.name = next, fmt.Sprintf("server-%d", n)
			return s.show(hangUp)
		}},
		{fmt.Sprintf("CA %d alone", n), func(s *stage) (time.Duration, string, error) { return s.trust(s.ca.pem) }},
	}
}

// trust replaces the CAs, of the server and then of the callers, and waits until these use them.
func (s *stage) trust(cas []byte) (time.Duration, string, error) {
	took, err := s.untilLogged(readAgain, func() error {
		return s.served.swap(s.served.with(map[string][]byte{"ca.crt": cas}))
	})
	err = errors.Join(err, s.called.swap(s.called.with(map[string][]byte{"ca.crt": cas})))
	// A caller that has read the file before may be in its handshake still, on a busy machine.
	before, _ := s.callers.now()
	return took, "", errors.Join(err, waitFor("more calls", func() bool {
		calls, _ := s.callers.now()
		return calls >= before+100
	}))
}

// show replaces the certificates, and waits until a caller meets that of the server.
func (s *stage) show(hangUp bool) (took time.Duration, kept string, err error) {
	server, err := s.ca.issue(s.name)
	if err != nil {
		return 0, "", err
	}
	caller, err := s.ca.issue("caller")
	if err != nil {
		return 0, "", err
	}
	begin := time.Now()
	err = errors.Join(
		s.served.swap(s.served.with(map[string][]byte{"tls.crt": server.cert, "tls.key": server.key})),
		s.called.swap(s.called.with(map[string][]byte{"tls.crt": caller.cert, "tls.key": caller.key})),
	)
	if err != nil {
		return 0, "", err
	}
	if hangUp {
		if err := s.server.command.Process.Signal(syscall.SIGHUP); err != nil {
			return 0, "", err
		}
	}
	err = waitFor(s.name+" is met", func() bool {
		met, ok := s.callers.servers()[s.name]
		took = met.Sub(begin)
		return ok
	})
	return took, "", err
}

// untilLogged does something, and returns how long it took until the server logged a line
// about it.
func (s *stage) untilLogged(text string, do func() error) (time.Duration, error) {
	before, begin := s.server.logged(text), time.Now()
	if err := do(); err != nil {
		return 0, err
	}
	err := waitFor(text, func() bool { return s.server.logged(text) > before })
	return time.Since(begin), err
}

// wrong returns the steps in which the server's files are wrong, each of which keeps what
// was there before. SIGHUP makes the server log at once what is wrong.
func wrong() []step {
	other, otherErr := newAuthority("another CA")
	var spoilt pair
	if otherErr == nil {
		spoilt, otherErr = other.issue("another server")
	}
	files := func(name string, spoil func(now map[string][]byte) map[string][]byte) step {
		return step{name, func(s *stage) (time.Duration, string, error) {
			good := s.served.content
			return s.keeps(
				func() error { return errors.Join(otherErr, s.served.swap(s.served.with(spoil(good)))) },
				func() error { return s.served.swap(good) },
			)
		}}
	}
	return []step{
		files("a certificate that is none", func(map[string][]byte) map[string][]byte {
			return map[string][]byte{"tls.crt": []byte("no certificate\n")}
		}),
		files("a certificate for another key", func(map[string][]byte) map[string][]byte {
			return map[string][]byte{"tls.crt": spoilt.cert}
		}),
		files("an empty key", func(map[string][]byte) map[string][]byte {
			return map[string][]byte{"tls.key": nil}
		}),
		files("half a bundle of CAs", func(now map[string][]byte) map[string][]byte {
			return map[string][]byte{"ca.crt": append(bytes.Clone(spoilt.cert), now["ca.crt"][:len(now["ca.crt"])/2]...)}
		}),
		files("a wrong line among the API keys", func(now map[string][]byte) map[string][]byte {
			return map[string][]byte{"api-keys": append(bytes.Clone(now["api-keys"]), "nonsense\n"...)}
		}),
		{"a key that was deleted", func(s *stage) (time.Duration, string, error) {
			return s.keeps(func() error { return os.Remove(s.served.path("tls.key")) }, func() error { return s.served.link("tls.key") })
		}},
	}
}

// keeps checks that the server keeps what it has, while its files are wrong.
func (s *stage) keeps(spoil, repair func() error) (time.Duration, string, error) {
	_, err := s.untilLogged(cannotUse, func() error {
		return errors.Join(spoil(), s.server.command.Process.Signal(syscall.SIGHUP))
	})
	if err != nil {
		return 0, "", err
	}
	calls, _ := s.callers.now()
	err = waitFor("100 calls", func() bool { now, _ := s.callers.now(); return now >= calls+100 })
	if err != nil {
		return 0, "", err
	}
	_, err = s.untilLogged(readAgain, repair)
	return 0, s.name, err
}
