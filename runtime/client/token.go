package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Token sends a token with each call, unary or stream, as the metadata
// "authorization: Bearer TOKEN". The function is asked for it before each try, by
// many goroutines at once. If it returns an error, the call fails with that error, or
// with code Unauthenticated if it has no code. The last Token or [TokenFile] counts.
//
// A token is not sent to another machine without TLS, unless [Insecure] allows it.
func Token(token func(ctx context.Context) (string, error)) Option {
	return func(s *settings) { s.token = token }
}

// TokenFile sends the token that a file contains, as [Token] does. White space around
// it is dropped. The file is read again when a call is made a second or more after it
// was read; a pipe is read once. If it can't be read then, or contains no token, the one
// that it had before is sent. Calls fail, with code Unauthenticated, only if it never had
// one.
func TokenFile(file string) Option {
	return Token((&tokenFile{path: file}).read)
}

// tokenAge is how long a token is sent before its file is read again.
const tokenAge = time.Second

// maxToken is more than a server takes: the metadata of a call in all is 64 KiB at
// most in the servers of this runtime, and 16 KiB or less in others.
const maxToken = 64 << 10

// tokenFile is a file with a token.
type tokenFile struct {
	path string

	mu     sync.Mutex
	token  string    // that it last had; "" if it never had one
	looked time.Time // when it was last read, or could not be
	pipe   bool      // whether it is one, and can be read only once
}

// read returns the token.
func (f *tokenFile) read(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.token != "" && (f.pipe || time.Since(f.looked) < tokenAge) {
		return f.token, nil
	}
	token, err := f.content()
	f.looked = time.Now()
	switch {
	case err == nil:
		f.token = token
	case f.token == "":
		return "", fmt.Errorf("the token file %s: %w", f.shown(), err)
	}
	return f.token, nil
}

// shown returns the path as errors have it: without a token that was given in its place.
func (f *tokenFile) shown() string {
	if len(f.path) >= 32 && !strings.ContainsAny(f.path, `/\`) {
		if _, err := os.Stat(f.path); err != nil {
			return "xxxxx (not shown, since it may be the token itself)"
		}
	}
	return f.path
}

// content returns the token that the file contains now.
func (f *tokenFile) content() (string, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return "", reason(err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxToken+1))
	if err != nil {
		return "", reason(err)
	}
	if info, err := file.Stat(); err == nil {
		f.pipe = !info.Mode().IsRegular()
	}
	token := strings.TrimSpace(string(content))
	if len(content) > maxToken {
		return "", fmt.Errorf("it has more than %d bytes: want one token, and nothing else", maxToken)
	}
	return token, checkToken(token)
}

// reason returns the error of a file without its path.
func reason(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// checkToken returns an error for a token that metadata can't carry. It does not
// contain the token.
func checkToken(token string) error {
	if token == "" {
		return errors.New("it is empty: want a token")
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return fmt.Errorf("byte %d is not a printable character of ASCII: want one token, and nothing else", i+1)
		}
	}
	return nil
}

// bearer sends a token with each call. It is gRPC's credentials for calls.
type bearer struct {
	token     func(context.Context) (string, error)
	encrypted bool // whether the connection must be
}

// GetRequestMetadata returns the metadata of a call.
func (b bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := b.token(ctx)
	if err == nil {
		if invalid := checkToken(token); invalid != nil {
			err = fmt.Errorf("the token can't be sent: %w", invalid)
		}
	}
	if err != nil {
		if _, ok := status.FromError(err); ok {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		return nil, status.Error(codes.Unauthenticated, err.Error())
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

// RequireTransportSecurity reports whether the connection must be encrypted.
func (b bearer) RequireTransportSecurity() bool { return b.encrypted }
