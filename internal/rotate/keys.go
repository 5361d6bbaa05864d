//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

// keys are the API keys that the operator makes, in a file of which the server has a
// copy.
type keys struct {
	program string // the server's, which makes them
	file    string
}

// add makes a key for all sources, and returns it.
func (k keys) add(name string) ([]byte, error) {
	return k.run("add", name, "--all-sources", "--keys", k.file)
}

func (k keys) run(args ...string) ([]byte, error) {
	out, err := exec.Command(k.program, append([]string{"keys"}, args...)...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("keys %q: %w\n%s", args, err, exit.Stderr)
	}
	return out, err
}

// newKey returns the steps by which the API key of the callers is replaced, and the old
// one revoked.
func newKey(n int) []step {
	var previous []byte
	return []step{
		{fmt.Sprintf("API key %d beside the one before", n), func(s *stage) (time.Duration, string, error) {
			previous = s.called.content["api.key"]
			key, err := s.keys.add(fmt.Sprintf("key-%d", n))
			if err != nil {
				return 0, "", err
			}
			took, err := s.untilLogged(readAgain, s.copyKeys)
			err = errors.Join(err, s.called.swap(s.called.with(map[string][]byte{"api.key": key})))
			time.Sleep(2 * time.Second) // callers look at the file of their key once a second
			return took, "", err
		}},
		{fmt.Sprintf("API key %d alone", n), func(s *stage) (time.Duration, string, error) {
			took, err := s.untilRefused(previous, func() error {
				_, err := s.keys.run("revoke", fmt.Sprintf("key-%d", n-1), "--keys", s.keys.file)
				return errors.Join(err, s.copyKeys())
			})
			return took, "", err
		}},
	}
}

// copyKeys gives the server the file of keys as it is now.
func (s *stage) copyKeys() error {
	text, err := os.ReadFile(s.keys.file)
	if err != nil {
		return err
	}
	return s.served.swap(s.served.with(map[string][]byte{"api-keys": text}))
}

// untilRefused does something, and returns how long it took until calls with a key were
// refused, over a connection that was there before.
func (s *stage) untilRefused(key []byte, do func() error) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := client.Dial(ctx, s.server.addr, nil, client.Once(), client.RootCAs(s.called.path("ca.crt")),
		client.Certificate(s.called.path("tls.crt"), s.called.path("tls.key")))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(key)))
	// A request without an event is refused in any case, with another code.
	code := func() codes.Code {
		err := conn.Invoke(ctx, "/rotate.v1.RotateService/Publish", &emptypb.Empty{}, &emptypb.Empty{}, grpc.WaitForReady(true))
		return status.Code(err)
	}
	if got := code(); got != codes.InvalidArgument {
		return 0, fmt.Errorf("with a valid key the code is %s, want InvalidArgument", got)
	}
	begin := time.Now()
	if err := do(); err != nil {
		return 0, err
	}
	err = waitFor("a revoked key is refused", func() bool { return code() == codes.Unauthenticated })
	return time.Since(begin), err
}
