package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// sent is a service that answers with the metadata that came under a key.
func sent(key string) service {
	return alike(func(ctx context.Context) error {
		return status.Error(codes.FailedPrecondition, strings.Join(metadata.ValueFromIncomingContext(ctx, key), "|"))
	})
}

// sends checks what calls of both kinds send.
func sends(t *testing.T, conn *grpc.ClientConn, want string) {
	t.Helper()
	unary, stream := unaryAndStream(soon(t), conn)
	for _, err := range []error{unary, stream} {
		if got := status.Convert(err); got.Code() != codes.FailedPrecondition || got.Message() != want {
			t.Errorf("a call sends %v, want %q", err, want)
		}
	}
}

func fixed(token string) Option {
	return Token(func(context.Context) (string, error) { return token, nil })
}

// write writes a file of the test's own.
func write(t *testing.T, content string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestATokenGoesWithEachCall(t *testing.T) {
	addr := serve(t, sent("authorization"))
	for name, options := range map[string][]Option{
		"from a function":    {fixed("secret")},
		"from a file":        {TokenFile(write(t, " \r\nsecret\n"))},
		"with calls of once": {fixed("secret"), Once()},
		"from the last":      {fixed("other"), TokenFile(write(t, "secret"))},
	} {
		t.Run(name, func(t *testing.T) { sends(t, connected(t, addr, events, options...), "Bearer secret") })
	}
}

// TestATokenIsNotSentInPlaintext: to another machine, unless Insecure allows it.
func TestATokenIsNotSentInPlaintext(t *testing.T) {
	const target = "passthrough:///example.com:1"
	addr := serve(t, sent("authorization"))
	plaintext := With(grpc.WithTransportCredentials(insecure.NewCredentials()))
	_, err := Dial(soon(t), target, nil, elsewhere(addr), fixed("secret"), plaintext)
	oneLine(t, err, "require transport level security")

	sends(t, connected(t, target, nil, elsewhere(addr), fixed("secret"), Insecure()), "Bearer secret")

	cert, root := certificate(t, "example.com")
	encrypted := serve(t, sent("authorization"), grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}})))
	sends(t, connected(t, target, nil, elsewhere(encrypted), fixed("secret"), RootCAs(root)), "Bearer secret")
}

// TestATokenFileIsReadAgain: after a second. A bad one does not replace a good one.
func TestATokenFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	file := &tokenFile{path: path}
	read := func(want string) {
		t.Helper()
		if got, err := file.read(t.Context()); got != want || err != nil {
			t.Errorf("the token is %q (%v), want %q", got, err, want)
		}
	}
	change := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := file.read(t.Context()); fmt.Sprint(err) != "the token file "+path+": no such file or directory" {
		t.Errorf("without a file the error is %v", err)
	}
	change("one") // is read at once, because there was none before
	read("one")
	file.looked = time.Now().Add(time.Hour) // as if it had just been read, on a machine however slow
	change("two")
	read("one")
	file.looked = time.Now().Add(-tokenAge)
	read("two")
	for _, bad := range []string{"", " \n", "two tokens", "käse", strings.Repeat("x", maxToken+1)} {
		file.looked = time.Now().Add(-tokenAge)
		change(bad)
		read("two")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	file.looked = time.Now().Add(-tokenAge)
	read("two")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	file.looked = time.Now().Add(-tokenAge)
	read("two")
}

// TestATokenFromAPipeIsReadOnce: reading it again would wait for ever, with all calls.
func TestATokenFromAPipeIsReadOnce(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := writer.WriteString("secret\n"); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	file := &tokenFile{path: fmt.Sprintf("/dev/fd/%d", reader.Fd())}
	for range 2 {
		if token, err := file.read(t.Context()); token != "secret" || err != nil {
			t.Errorf("the token is %q (%v)", token, err)
		}
		if !file.pipe {
			t.Error("it would be read again")
		}
		file.looked = time.Now().Add(-tokenAge)
		file.path = "/no/such/file"
	}
}

// TestATokenFileThatIsReplaced is seen by calls, whichever way it is: Kubernetes swaps
// a link to its folder.
func TestATokenFileThatIsReplaced(t *testing.T) {
	mount := t.TempDir()
	swap := func(version string) {
		t.Helper()
		dir, next := filepath.Join(mount, version), filepath.Join(mount, "..data_tmp")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "token"), []byte(version), 0o600),
			os.Symlink(version, next), os.Rename(next, filepath.Join(mount, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	swap("one")
	if err := os.Symlink(filepath.Join("..data", "token"), filepath.Join(mount, "token")); err != nil {
		t.Fatal(err)
	}
	conn := connected(t, serve(t, sent("authorization")), events, TokenFile(filepath.Join(mount, "token")))
	sends(t, conn, "Bearer one")
	swap("two")
	for until := time.Now().Add(testTimeout); ; time.Sleep(10 * time.Millisecond) {
		if unary, _ := unaryAndStream(soon(t), conn); status.Convert(unary).Message() == "Bearer two" {
			break
		}
		if time.Now().After(until) {
			t.Fatal("the new token is not sent")
		}
	}
	sends(t, conn, "Bearer two")
}

// TestACallWithoutItsTokenIsNotMade: and its error does not show one.
func TestACallWithoutItsTokenIsNotMade(t *testing.T) {
	for name, test := range map[string]struct {
		option Option
		code   codes.Code
		want   string
	}{
		"no file, but the token": {TokenFile("pgr_0123456789abcdef0123456789abcdef"), codes.Unauthenticated, "the token file xxxxx (not shown, since it may be the token itself): no such file or directory"},
		"no file":                {TokenFile("/no/such/file"), codes.Unauthenticated, "the token file /no/such/file: no such file or directory"},
		"an empty file":          {TokenFile(write(t, "\n")), codes.Unauthenticated, "it is empty: want a token"},
		"two tokens":             {TokenFile(write(t, "secret secret")), codes.Unauthenticated, "byte 7 is not a printable character"},
		"a line break":           {fixed("secret\r\nx: y"), codes.Unauthenticated, "the token can't be sent: byte 7 is not a printable character"},
		"none":                   {fixed(""), codes.Unauthenticated, "it is empty"},
		"an error":               {Token(func(context.Context) (string, error) { return "", errors.New("log in first") }), codes.Unauthenticated, "log in first"},
		"its code": {Token(func(context.Context) (string, error) { return "", status.Error(codes.PermissionDenied, "locked out") }),
			codes.PermissionDenied, "locked out"},
	} {
		t.Run(name, func(t *testing.T) {
			called := func(context.Context) error { t.Error("it is sent"); return nil }
			unary, stream := unaryAndStream(soon(t), connected(t, serve(t, alike(called)), events, test.option))
			for _, err := range []error{unary, stream} {
				oneLine(t, err, test.want)
				if status.Code(err) != test.code || strings.Contains(err.Error(), "secret") {
					t.Errorf("the error is %v", err)
				}
			}
		})
	}
}

// TestATokenThatIsAwayIsAskedForAgain: by a call that may be retried, for example when
// what gives out tokens restarts.
func TestATokenThatIsAwayIsAskedForAgain(t *testing.T) {
	asked := new(atomic.Int64)
	away := Token(func(context.Context) (string, error) {
		if asked.Add(1) == 1 {
			return "", status.Error(codes.Unavailable, "away")
		}
		return "secret", nil
	})
	_, err := testpb.NewTestServiceClient(connected(t, serve(t, sent("authorization")), events, away)).UnaryCall(soon(t), &testpb.SimpleRequest{})
	if status.Convert(err).Message() != "Bearer secret" || asked.Load() != 2 {
		t.Errorf("after asking %d times the call sends %v", asked.Load(), err)
	}
}

func TestOptionsDoNotShowSecrets(t *testing.T) {
	options := []Option{fixed("secret"), TokenFile(write(t, "secret")), Header("x-api-key", "secret")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(verb, options); strings.Contains(text, "secret") {
			t.Errorf("%s shows %s", verb, text)
		}
	}
}
