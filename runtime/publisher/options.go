package publisher

import (
	"log/slog"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
)

// Option changes how a publisher works.
type Option func(*settings)

type settings struct {
	client   []client.Option
	maxBytes int64
	maxAge   time.Duration
	whenFull Policy
	logger   *slog.Logger
	by       []string // RPCs
	window   int64    // bytes of events that are in memory; tests make it small
	slow     time.Duration
}

func defaults() settings {
	return settings{maxBytes: 1 << 30, logger: slog.Default(), window: 16 << 20, slow: 30 * time.Second}
}

// Client sets how to connect to the server.
func Client(options ...client.Option) Option {
	return func(s *settings) { s.client = append(s.client, options...) }
}

// MaxBytes limits the bytes of events that wait to be sent. The default is 1 GiB.
func MaxBytes(bytes int64) Option { return func(s *settings) { s.maxBytes = max(1, bytes) } }

// MaxAge makes the publisher take no further events while one has waited for longer than
// age. By default it does not look at that. No event is dropped because of its age.
func MaxAge(age time.Duration) Option { return func(s *settings) { s.maxAge = age } }

// By sets the RPC that sends the events of its type, such as "/shop.v1.Orders/Place", where
// several take them. By default it is the one by which most events can be sent.
func By(rpc string) Option { return func(s *settings) { s.by = append(s.by, rpc) } }

// Policy says what becomes of an event for which there is no room.
type Policy int

// The policies.
const (
	// Block has Publish wait for room, until its context ends. It is the default.
	Block Policy = iota
	// Refuse has Publish return [ErrFull] at once.
	Refuse
)

// WhenFull sets what Publish does when the spool is full.
func WhenFull(policy Policy) Option { return func(s *settings) { s.whenFull = policy } }

// Logger sets the logger for events that can't be sent. The default is [slog.Default].
func Logger(logger *slog.Logger) Option { return func(s *settings) { s.logger = logger } }
