package eventlog

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// engines opens a log by the scheme of its URL.
var engines = map[string]func(ctx context.Context, url string, mode mode) (Log, error){
	"sqlite": openSQLite,
}

// mode is what a log is opened for.
type mode int

const (
	readWrite mode = iota
	readOnly
)

// Open opens the log that a URL names, and makes it if there is none:
//
//	sqlite:PATH   one file on this machine, whose table events any SQLite tool can read
//
// One process at a time may have a log open for appending.
func Open(ctx context.Context, url string) (Log, error) {
	return open(ctx, url, readWrite)
}

// OpenReader opens an existing log for reading, also beside a process that
// appends to it. Its Append fails.
func OpenReader(ctx context.Context, url string) (Log, error) {
	return open(ctx, url, readOnly)
}

func open(ctx context.Context, url string, mode mode) (Log, error) {
	scheme, _, found := strings.Cut(url, ":")
	engine := engines[scheme]
	if !found || engine == nil {
		return nil, fmt.Errorf("event log %q: want %s", url, schemes())
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
