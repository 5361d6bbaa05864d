// Package console is a page for those who operate a server: its events as they arrive,
// rates and latencies of the last hour, consumers and their dead letters, schemas, and a
// form that sends an event. It is at /console/ of the port of package ops, asks no other
// host for anything, and needs no build step.
//
// What events hold is data: the page shows it as text, whatever it is. Nobody who watches
// slows down those who send: what a browser does not take in time is left out, and counted.
package console

import (
	"context"
	"embed"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

//go:embed index.html icon.svg console.css console.js view.js charts.js form.js letters.js
var files embed.FS

// Path is where the console is, on the port of package ops.
const Path = "/console/"

// The modes, by the flag --console.
const (
	Off = "off"
	// Local serves the console to the server's own machine only, without a key: it is off
	// where other machines reach the port. It changes nothing.
	Local = "local"
	// Read serves the console to everybody who has an API key that may read all events, or
	// who is on the server's own machine, if nobody else reaches the port. It changes nothing.
	Read = "read"
	// Write is Read with what changes something: to have dead letters tried again needs a
	// key for all sources, and to send an event one that may send it.
	Write = "write"
)

var modes = []string{Off, Local, Read, Write}

// Config is the configuration of a console. The zero value has the mode Local.
type Config struct {
	// Mode is one of the modes; "" means Local.
	Mode string
	// Caller returns the name of whoever a call is by, for the log; nil for no names.
	Caller func(context.Context) string

	log      eventlog.Log
	counters counters
}

// Flags defines the flag --console, for [server.Parse].
func (c *Config) Flags(flags *flag.FlagSet) {
	flags.StringVar(&c.Mode, "console", Local, "`who` may use the page /console/ at --ops-addr: off; local: everybody on this machine, if no other reaches the port, to read; read: also others, with a key; write: also to send events and retry dead letters")
}

// Log returns a log whose appends the console counts. The console shows what it stores.
func (c *Config) Log(log eventlog.Log) eventlog.Log {
	if c.log = log; c.Mode == Off {
		return log
	}
	return eventlog.Observe(log, c.counters.ofLog())
}

// Option makes a server serve the console. rejected returns the log whose dead letters are
// requests that the server refused, as of package rejected; nil if none are kept.
func (c *Config) Option(rejected func() eventlog.Log) server.Option {
	switch {
	case c.Mode == Off:
		return server.Options()
	case c.Mode == "":
		c.Mode = Local
	case !slices.Contains(modes, c.Mode):
		return server.Invalid(fmt.Errorf("--console %s: want one of %s", c.Mode, strings.Join(modes, ", ")))
	}
	work := newWork()
	p := &page{mode: c.Mode, name: c.Caller, started: time.Now().UnixMicro(), counters: &c.counters, rejected: rejected, work: work, hub: hub{log: c.log, work: work}, figures: figures{log: c.log}, schemas: schemaUses{log: c.log}}
	return server.Options(
		server.Observers(server.Observer{RPC: c.counters.ofRPC, Listening: p.listening}),
		server.Alongside("the console", func(ctx context.Context) error {
			c.counters.record(ctx)
			work.finish()
			return nil
		}),
		server.Page(Path, p.routes()),
	)
}

// page is the console of a server.
type page struct {
	mode     string
	name     func(context.Context) string  // of whoever a call is by; nil for none
	started  int64                         // which process this is
	server   atomic.Pointer[server.Server] // nil until it listens
	reach    atomic.Pointer[reach]
	counters *counters
	rejected func() eventlog.Log
	work     *work
	hub      hub
	figures  figures
	schemas  schemaUses
}

// listening looks who reaches the console.
func (p *page) listening(s *server.Server) {
	addr := s.PortAddr("ops-addr")
	if addr == "" {
		if p.mode != Local { // which nobody has asked for
			s.Log().Warn("the console is not served: its port is that of --ops-addr, and there is none", "mode", p.mode)
		}
		return
	}
	r := reachOf(addr, p.mode, s.KnowsCallers())
	p.server.Store(s)
	p.reach.Store(&r)
	switch {
	case r.closed != "" && p.mode == Local:
		s.Log().Info("the console is not served: "+r.closed, "addr", addr)
	case r.closed != "":
		s.Log().Warn("the console is not served: "+r.closed, "addr", addr)
	case !r.local:
		s.WarnIfOpen(addr, false)
		fallthrough
	default:
		s.Log().Info("serving the console", "url", "http://"+addr+Path, "mode", p.mode)
	}
}

// routes returns what answers requests below [Path].
func (p *page) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+Path, http.StripPrefix(Path, http.FileServerFS(files)))
	for pattern, answer := range map[string]func(*http.Request) (any, error){
		"GET /state": p.state, "GET /charts": p.charts, "GET /event": p.event, "GET /dead": p.dead,
		"GET /schemas": p.listSchemas, "GET /forms": p.forms,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		mux.Handle(method+" "+Path+"api"+path, p.reads(answer))
	}
	mux.HandleFunc("GET "+Path+"api/live", p.live)
	mux.Handle("POST "+Path+"api/retry", p.changes(p.retry))
	mux.Handle("POST "+Path+"api/send", p.changes(p.send))
	return p.guarded(mux)
}
