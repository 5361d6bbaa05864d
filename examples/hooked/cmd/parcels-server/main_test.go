package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	parcelsv1 "example.com/hooked/gen/parcels/v1"
	"example.com/hooked/gen/parcels/v1/parcelsv1client"
	"example.com/hooked/gen/parcels/v1/parcelsv1events"
	"example.com/hooked/gen/parcels/v1/parcelsv1server"
	"example.com/hooked/internal/parcels/v1/parcelservice"
	"example.com/hooked/internal/receiver-runtime/servertest"
)

// issuer is who issues the tokens that the server takes, another is not.
var issuer, another = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))

// publicKey returns the issuer's public key in PEM format.
func publicKey(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(issuer.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// signed returns a token.
func signed(t *testing.T, method jwt.SigningMethod, key any, claims jwt.RegisteredClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// north are the claims of a good token.
func north() jwt.RegisteredClaims {
	return jwt.RegisteredClaims{Subject: "north", Audience: jwt.ClaimStrings{"parcels"}, ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour))}
}

// logged is what the audit logs.
type logged struct {
	sync.Mutex
	bytes.Buffer
}

func (l *logged) Write(text []byte) (int, error) {
	l.Lock()
	defer l.Unlock()
	return l.Buffer.Write(text)
}

// text returns it once it contains a text.
func (l *logged) text(t *testing.T, want string) string {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		l.Lock()
		text := l.Buffer.String()
		l.Unlock()
		if strings.Contains(text, want) {
			return text
		}
		if time.Now().After(until) {
			t.Fatalf("it logs\n%s, want %s", text, want)
		}
	}
}

// start serves with the hooks, and returns the address, the log and the traffic.
func start(t *testing.T) (addr string, log *logged, counts *traffic) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "issuer.pub")
	if err := os.WriteFile(file, publicKey(t), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := readKey(file)
	if err != nil {
		t.Fatal(err)
	}
	log, counts = new(logged), new(traffic)
	service := parcelservice.New(parcelsv1events.New(servertest.Log(t)))
	return servertest.Serve(t, append(hooks(tokens, audit{slog.New(slog.NewTextHandler(log, nil))}, counts),
		parcelsv1server.ParcelService(service))...), log, counts
}

// calls makes a call of each kind, and returns the errors. The stream's is nil if a scan
// comes.
func calls(t *testing.T, addr string, options ...parcelsv1client.Option) (unary, stream error) {
	t.Helper()
	client, err := parcelsv1client.Dial(t.Context(), addr, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, unary = client.ParcelService().ReportScan(ctx, &parcelsv1.ReportScanRequest{
		Scan: &parcelsv1.ScanEvent{EventId: "1", Depot: "north", EventType: "arrived", Parcel: "p-1"}})
	follow, err := client.ParcelService().Follow(ctx, new(parcelsv1.FollowRequest))
	if err != nil {
		t.Fatal(err)
	}
	_, stream = follow.Recv()
	return unary, stream
}

func TestATokenLetsACallerIn(t *testing.T) {
	addr, log, _ := start(t)
	token := signed(t, jwt.SigningMethodEdDSA, issuer, north())
	number := parcelsv1client.PerCall(func(ctx context.Context, _ string) (context.Context, error) {
		return metadata.AppendToOutgoingContext(ctx, "x-request-id", "r-1"), nil
	})
	unary, stream := calls(t, addr, parcelsv1client.Token(func(context.Context) (string, error) { return token, nil }), number)
	if unary != nil || stream != nil {
		t.Fatal(errors.Join(unary, stream))
	}
	log.text(t, `msg=audit caller=north rpc=/parcels.v1.ParcelService/ReportScan code=OK request=[r-1]`)
	text := log.text(t, `msg=audit caller=north rpc=/parcels.v1.ParcelService/Follow code=Canceled request=[r-1]`)
	if strings.Contains(text, token) {
		t.Errorf("the log shows the token:\n%s", text)
	}
}

func TestOtherTokensDoNot(t *testing.T) {
	addr, _, _ := start(t)
	expired, endless, elsewhere, nobody := north(), north(), north(), north()
	expired.ExpiresAt = jwt.NewNumericDate(time.Now().Add(-time.Hour))
	endless.ExpiresAt = nil
	elsewhere.Audience = jwt.ClaimStrings{"letters"}
	nobody.Subject = ""
	good := signed(t, jwt.SigningMethodEdDSA, issuer, north())
	for name, test := range map[string]struct {
		sent []string // as authorization
		want string
	}{
		"none":                   {nil, "want the metadata authorization"},
		"two":                    {[]string{"Bearer " + good, "Bearer " + good}, "want the metadata authorization"},
		"another scheme":         {[]string{"Basic " + good}, "want the metadata authorization"},
		"what is not a token":    {[]string{"Bearer x"}, "malformed"},
		"one that is expired":    {[]string{"Bearer " + signed(t, jwt.SigningMethodEdDSA, issuer, expired)}, "expired"},
		"one that never expires": {[]string{"Bearer " + signed(t, jwt.SigningMethodEdDSA, issuer, endless)}, "exp claim is required"},
		"one for another":        {[]string{"Bearer " + signed(t, jwt.SigningMethodEdDSA, issuer, elsewhere)}, "audience"},
		"one of another issuer":  {[]string{"Bearer " + signed(t, jwt.SigningMethodEdDSA, another, north())}, "signature is invalid"},
		"one of nobody":          {[]string{"Bearer " + signed(t, jwt.SigningMethodEdDSA, issuer, nobody)}, "does not name its subject"},
		"one without signature":  {[]string{"Bearer " + signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, north())}, "signing method none is invalid"},
		"one that is signed with the public key": {
			[]string{"Bearer " + signed(t, jwt.SigningMethodHS256, publicKey(t), north())}, "signing method HS256 is invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			var options []parcelsv1client.Option
			for _, value := range test.sent {
				options = append(options, parcelsv1client.Header("authorization", value))
			}
			unary, stream := calls(t, addr, options...)
			for _, err := range []error{unary, stream} {
				if got := status.Convert(err); got.Code() != codes.Unauthenticated || !strings.Contains(got.Message(), test.want) {
					t.Errorf("the error is %v, want Unauthenticated with %q", err, test.want)
				}
			}
		})
	}
}

// TestTheHealthNeedsNoToken: probes have none.
func TestTheHealthNeedsNoToken(t *testing.T) {
	addr, _, _ := start(t)
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
}

func TestTrafficIsCounted(t *testing.T) {
	addr, log, counts := start(t)
	if unary, stream := calls(t, addr); unary == nil || stream == nil {
		t.Error("without a token calls succeed")
	}
	token := signed(t, jwt.SigningMethodEdDSA, issuer, north())
	if unary, stream := calls(t, addr, parcelsv1client.TokenFile(tokenFile(t, token))); unary != nil || stream != nil {
		t.Error(unary, stream)
	}
	log.text(t, "Follow code=Canceled")
	for until := time.Now().Add(20 * time.Second); counts.calls.Load() < 4; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d calls are counted, want 4", counts.calls.Load())
		}
	}
	// Two are refused, and the tail is cancelled by its caller.
	if got := counts.failed.Load(); got != 3 || counts.received.Load() == 0 || counts.sent.Load() == 0 {
		t.Errorf("%d failed calls are counted, want 3; %d bytes received, %d sent", got, counts.received.Load(), counts.sent.Load())
	}
}

func tokenFile(t *testing.T, token string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestWithoutAKeyTheServerDoesNotStart(t *testing.T) {
	for file, want := range map[string]string{
		filepath.Join(t.TempDir(), "none"): "--jwt-key: open",
		tokenFile(t, "no key"):             "--jwt-key ",
	} {
		err := run(t.Context(), []string{"--events", "memory:", "--addr", "localhost:0", "--jwt-key", file})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("the error is %v, want %s…", err, want)
		}
	}
}
