//go:build linux

package main

import "strings"

// term is a part of the memory that clients can make a server use. The table "Limits of
// the server" in docs/capacity.md has the same.
type term struct {
	flags string
	bytes func(figures) int64
}

// own is what the program itself takes, with the traffic of honest clients.
const own = 96 * mib

var (
	requests      = term{"--max-memory-bytes", func(f figures) int64 { return 4 * f["max-memory-bytes"] }}
	tails         = term{"--max-memory-bytes for tails", func(f figures) int64 { return 4 * f["max-memory-bytes"] }}
	perCall       = term{"--max-calls", func(f figures) int64 { return 100 << 10 * f["max-calls"] }}
	perConnection = term{"--max-connections", func(f figures) int64 { return 50 << 10 * f["max-connections"] }}
	metadataHeld  = term{"--max-calls × --max-metadata-bytes", func(f figures) int64 { return 4 * f["max-calls"] * f["max-metadata-bytes"] }}
	perHandshake  = term{"connections × TLS", func(f figures) int64 { return 50 << 10 * f["max-connections"] }}
)

// bound returns how much memory a server may have resident, and the flags from which
// that follows.
func bound(terms []term, f figures) (bytes int64, flags string) {
	bytes = own
	var names []string
	for _, t := range terms {
		bytes += t.bytes(f)
		names = append(names, t.flags)
	}
	return bytes, strings.Join(names, " + ")
}
