package eventlog

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// engines opens a log by the scheme of its URL. Each engine adds itself, in a
// file of its own, so that one can be left out.
var engines = map[string]func(ctx context.Context, url string, mode mode) (Log, error){}

// mode is what a log is opened for.
type mode int

const (
	readWrite mode = iota
	readOnly
)

// Open opens the log that a URL names, and makes it if there is none:
//
//	sqlite:PATH   one file on this machine, whose tables any SQLite tool can read
//	nats://HOST/STREAM   a stream of NATS JetStream, on one server or a cluster (unless the module was generated without)
//	memory:NAME   in this process, and lost with it: for tests; without a name it is shared with nobody
//
// Several processes may have one log open.
//
// A SQLite log keeps all events, unless its URL bounds what it keeps:
//
//	sqlite:PATH?max-age=720h&max-bytes=10GB
//
// Then the oldest events are deleted soon after they are older than that, or
// they have more than that of the file in use, whether consumers have handled
// them or not. Dead letters stay, and are not counted: they come on top of
// max-bytes. The file does not shrink: its space is used again.
// That an event was stored before is known as long as it is kept. In its table
// "events" the column "data" is a protobuf message; a server prints it as JSON
// with its subcommand "events replay".
func Open(ctx context.Context, url string) (Log, error) {
	return open(ctx, url, readWrite)
}

// OpenReader opens an existing log for reading: what would change it fails with
// [ErrReadOnly].
func OpenReader(ctx context.Context, url string) (Log, error) {
	return open(ctx, url, readOnly)
}

func open(ctx context.Context, url string, mode mode) (Log, error) {
	scheme, _, found := strings.Cut(url, ":")
	engine := engines[scheme]
	switch {
	case !found && strings.Contains(url, "@"): // before which may be a secret
		return nil, fmt.Errorf("event log …: want %s", schemes())
	case !found:
		return nil, fmt.Errorf("event log %q: want %s", url, schemes())
	case engine == nil: // and what follows may be secret
		return nil, fmt.Errorf("event log %s:…: want %s", scheme, schemes())
	}
	return engine(ctx, url, mode)
}

func schemes() string {
	var names []string
	for scheme := range engines {
		names = append(names, scheme+":…")
	}
	slices.Sort(names)
	return strings.Join(names, " or ")
}
