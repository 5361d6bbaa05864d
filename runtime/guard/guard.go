// Package guard keeps callers of a server out that have no API key, or call too often.
// A program that imports it has the subcommand keys in its help.
package guard

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// Config says who may call a server, and how often. The zero value lets everybody call
// as often as they like.
type Config struct {
	// Keys is the file of API keys, which the subcommand keys writes; see [Keys]. If it
	// is set, each call needs one of them in its metadata, as "authorization: Bearer
	// KEY", except those of gRPC's health service.
	Keys string
	// Rate is how much the server takes a second: each event counts as one, and so does
	// each call of an RPC that takes no events, except of gRPC's health service. 0 means
	// no bound.
	Rate float64
	// Burst is how much the server takes at once after a quiet time. 0 means as much as
	// Rate allows in a second. A request is taken when one event may come. If it holds
	// more than may, those after it wait accordingly longer.
	Burst int
	// SourceRate and SourceBurst are the same for the events of each source. A call with
	// a key for one source counts for that.
	SourceRate  float64
	SourceBurst int
}

// Flags defines a flag for each field, for [server.Parse].
func (c *Config) Flags(flags *flag.FlagSet) {
	flags.StringVar(&c.Keys, "keys", c.Keys, "`file` of API keys: without one of them a call is refused (see keys --help)")
	flags.Float64Var(&c.Rate, "rate", c.Rate, "most `events` a second, and calls that take none; 0 for no bound")
	flags.IntVar(&c.Burst, "burst", c.Burst, "most `events` at once after a quiet time; 0 for those of a second")
	flags.Float64Var(&c.SourceRate, "source-rate", c.SourceRate, "most `events` a second of one source; 0 for no bound")
	flags.IntVar(&c.SourceBurst, "source-burst", c.SourceBurst, "most `events` at once of one source; 0 for those of a second")
}

// Option makes a server keep to the configuration, which is read when Option is called.
// [server.Run] and [server.Listen] return an error for each value that can't be.
func (c *Config) Option() server.Option {
	if err := c.check(); err != nil {
		return server.Invalid(err)
	}
	var options []server.Option
	if c.Keys != "" {
		known := &keyring{file: c.Keys}
		options = append(options,
			server.Watch("API keys (--keys)", []string{c.Keys}, func(contents [][]byte) error { return known.load(contents[0]) }),
			server.Guards(server.Guard{Admit: known.admit, Check: known.check, KnowsCallers: true}))
	}
	if c.Rate > 0 || c.SourceRate > 0 {
		rates := newRates(*c)
		options = append(options, server.Guards(server.Guard{Admit: rates.admit, Check: rates.check}))
	}
	return server.Options(options...)
}

func (c *Config) check() error {
	var invalid []error
	for _, given := range []struct {
		flag  string
		value float64
	}{
		{"--rate", c.Rate}, {"--burst", float64(c.Burst)}, {"--source-rate", c.SourceRate}, {"--source-burst", float64(c.SourceBurst)},
	} {
		if !(given.value >= 0) || math.IsInf(given.value, 0) {
			invalid = append(invalid, fmt.Errorf("%s %v: want a number that is 0 or more", given.flag, given.value))
		}
	}
	if secret.MatchString(c.Keys) {
		invalid = append(invalid, errSecretAsFile)
	} else if _, err := os.Stat(c.Keys); c.Keys != "" && errors.Is(err, fs.ErrNotExist) {
		invalid = append(invalid, fmt.Errorf("--keys %s: there is no such file: add the first key to it, see keys add --help", c.Keys))
	}
	return errors.Join(invalid...)
}

// open reports whether the RPC is of gRPC's health service, which probes call without
// a key.
func open(call server.Call) bool { return strings.HasPrefix(call.Method, "/grpc.health.v1.Health/") }
