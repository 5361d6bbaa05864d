// Package eventid gives an event its identity on the way from client to log.
//
// An event whose message has no id is identified by the id that the client sent
// with the call. It is the same for every try, so that an event that is sent
// twice is stored once. If the client sends none, the server makes an id; if
// such an event is sent twice, it is stored twice.
package eventid

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
)

// Key is the metadata key under which a client sends the id of an event.
const Key = "event-id"

// New returns an id that no other event has. It is a UUIDv7 (RFC 9562), which
// grows with time and so keeps an index on ids compact.
func New() string {
	return uuid.Must(uuid.NewV7()).String()
}

// Check returns an error for an id that a call can't carry: it is not of printable
// ASCII, or begins or ends with a space.
func Check(id string) error {
	for _, r := range id {
		if r < ' ' || r > '~' {
			return fmt.Errorf("the event id %.100q has a character that is not printable ASCII: metadata of gRPC can't carry it", id)
		}
	}
	if strings.TrimSpace(id) != id {
		return fmt.Errorf("the event id %.100q begins or ends with a space: metadata of gRPC does not keep it", id)
	}
	return nil
}

// WithID returns a context whose calls carry the given id, which must pass [Check].
func WithID(ctx context.Context, id string) context.Context {
	md, ok := metadata.FromOutgoingContext(ctx) // a copy
	if !ok {
		md = metadata.MD{}
	}
	md.Set(Key, id)
	return metadata.NewOutgoingContext(ctx, md)
}

// Ensure returns a context whose calls carry an id: the one of ctx, or a new one
// if ctx has none. An empty id counts as none.
func Ensure(ctx context.Context) context.Context {
	md, _ := metadata.FromOutgoingContext(ctx)
	if sent := md.Get(Key); len(sent) > 0 && sent[0] != "" {
		return ctx
	}
	return WithID(ctx, New())
}
