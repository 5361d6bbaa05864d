// Package eventid gives an event its identity on the way from client to log.
//
// An event whose message has no id of its own is identified by what the client
// sent with the call: the same for every try, so that an event sent twice is
// stored once. For a client that sends nothing the server makes an id; such an
// event can't be told from its repetition.
package eventid

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
)

// Key is the metadata key under which a client sends the id of an event.
const Key = "event-id"

// New makes an id that no other event has: a UUIDv7 (RFC 9562), which grows
// with time and so keeps an index on ids compact.
func New() string {
	return uuid.Must(uuid.NewV7()).String()
}

// WithID returns a context whose calls carry the given id, of printable ASCII.
func WithID(ctx context.Context, id string) context.Context {
	md, found := metadata.FromOutgoingContext(ctx) // a copy
	if !found {
		md = metadata.MD{}
	}
	md.Set(Key, id)
	return metadata.NewOutgoingContext(ctx, md)
}

// Ensure returns a context whose calls carry an id: the one it has, or a new
// one. An empty id counts as none.
func Ensure(ctx context.Context) context.Context {
	md, _ := metadata.FromOutgoingContext(ctx)
	if sent := md.Get(Key); len(sent) > 0 && sent[0] != "" {
		return ctx
	}
	return WithID(ctx, New())
}

// Of returns the id of the event that a handler was called with: the one in
// its message, else the one that came with the call, else a new one.
func Of(ctx context.Context, inMessage string) string {
	if inMessage != "" {
		return inMessage
	}
	if sent := metadata.ValueFromIncomingContext(ctx, Key); len(sent) > 0 && sent[0] != "" {
		return sent[0]
	}
	return New()
}
