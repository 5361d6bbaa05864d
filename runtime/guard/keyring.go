package guard

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// Key is an API key, without its secret.
type Key struct {
	Name string `json:"name"`
	// Source is the only source whose events the key may send; "" if AllSources.
	Source     string `json:"source,omitempty"`
	AllSources bool   `json:"all_sources,omitempty"`
	// Tails is true if the key may call RPCs that send stored events, which are of all
	// sources. AllSources implies it.
	Tails   bool      `json:"tails,omitempty"`
	Added   time.Time `json:"added,omitzero"`
	Expires time.Time `json:"expires,omitzero"` // zero for never
}

type callerKey struct{}

// Caller returns the key with which a call came, in a method or an interceptor. ok is
// false if the server has no keys, or lets everybody call that RPC.
func Caller(ctx context.Context) (key Key, ok bool) {
	in, ok := ctx.Value(callerKey{}).(*inUse)
	if !ok {
		return Key{}, false
	}
	return in.Key, true
}

// CallerName returns the name of the key with which a call came, "" for none.
func CallerName(ctx context.Context) string {
	key, _ := Caller(ctx)
	return key.Name
}

// errNoKey is the answer to a caller without a valid key. It is the same whether the
// key was never one, was revoked or has expired.
var errNoKey = status.Error(codes.Unauthenticated, `no valid API key: send one in the metadata, as "authorization: Bearer KEY"`)

// keyring has the keys of a server.
type keyring struct {
	file string
	keys atomic.Pointer[map[index]*inUse]
}

// index is the beginning of a digest, by which its key is found. How long that takes
// may say something about it, but nothing about the rest of the digest, which is
// compared in constant time, and nothing at all about the key.
type index [8]byte

// inUse is a key that a server knows.
type inUse struct {
	stored
	valid context.Context // ends when it is revoked, or expires
	end   context.CancelFunc
	timer *time.Timer // ends it when it expires; nil for never
}

// load takes over what is in the file. Streams of keys that are no longer in it, or
// may do something else now, end.
func (r *keyring) load(content []byte) error {
	file, err := parse(r.file, content)
	if err != nil {
		return err
	}
	before, now := map[index]*inUse{}, map[index]*inUse{}
	if last := r.keys.Load(); last != nil {
		before = *last
	}
	for _, key := range file.keys {
		at := index(key.digest[:])
		if same, ok := before[at]; ok && same.stored == key {
			now[at] = same
			continue
		}
		in := &inUse{stored: key}
		in.valid, in.end = context.WithCancel(context.Background())
		if !key.Expires.IsZero() {
			in.timer = time.AfterFunc(time.Until(key.Expires), in.end)
		}
		now[at] = in
	}
	r.keys.Store(&now)
	for at, in := range before {
		if now[at] == in {
			continue
		}
		if in.timer != nil {
			in.timer.Stop()
		}
		in.end()
	}
	return nil
}

// find returns the valid key that a token is, or nil.
func (r *keyring) find(token string) *inUse {
	// The keys that this package makes are random numbers of 256 bits. Nobody finds one by
	// trying, so that a fast hash without salt is as good as a slow one, and costs
	// callers who guess more than it costs the server.
	digest := sha256.Sum256([]byte(token))
	in, ok := (*r.keys.Load())[index(digest[:])]
	if !ok || subtle.ConstantTimeCompare(in.digest[:], digest[:]) != 1 || !in.isValid() {
		return nil
	}
	return in
}

func (k *inUse) isValid() bool {
	return k.valid.Err() == nil && (k.Expires.IsZero() || time.Now().Before(k.Expires))
}

func (r *keyring) admit(ctx context.Context, call server.Call) (context.Context, error) {
	if open(call) {
		return ctx, nil
	}
	in := r.find(bearer(metadata.ValueFromIncomingContext(ctx, "authorization")))
	switch {
	case in == nil:
		return nil, errNoKey
	case call.RPC.Tails && !in.AllSources && !in.Tails:
		return nil, status.Errorf(codes.PermissionDenied,
			"%s sends the events of all sources: this API key is for source %q and without --tails", call.Method, in.Source)
	}
	ctx = context.WithValue(ctx, callerKey{}, in)
	if !in.AllSources {
		ctx = server.OnlySource(ctx, in.Source)
	}
	if !call.Streams {
		return ctx, nil
	}
	within, cancel := context.WithCancelCause(ctx)
	forget := context.AfterFunc(in.valid, func() { cancel(errNoKey) })
	context.AfterFunc(ctx, func() { forget() })
	return within, nil
}

// bearer returns the token in the values of a call's authorization, or "" if there is
// not exactly one.
func bearer(values []string) string {
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimLeft(token, " ")
}

func (r *keyring) check(ctx context.Context, call server.Call, request any) error {
	if open(call) {
		return nil
	}
	in, ok := ctx.Value(callerKey{}).(*inUse)
	if !ok || call.Streams && !in.isValid() {
		return errNoKey
	}
	if in.AllSources || call.RPC.Sources == nil {
		return nil
	}
	return call.RPC.Sources(request, func(source string) error {
		if source == in.Source {
			return nil
		}
		other := "of another source"
		if source == "" {
			other = "without a source"
		}
		return status.Errorf(codes.PermissionDenied, "%s got an event %s: this API key is for source %q", call.Method, other, in.Source)
	})
}
