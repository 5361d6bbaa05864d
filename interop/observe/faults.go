package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/prometheus/discovery/targetgroup"
	"google.golang.org/grpc/codes"
)

// stage is a server that is observed, and called by a client as honest clients do.
type stage struct {
	module  module
	dir     string // of the server
	at      addresses
	how     start
	server  *server
	scraper *scraper
	caller  *caller
	others  []*server // further processes
	nats    *nats
}

// fault is what an alert is for.
type fault struct {
	alert string
	what  string
	how   start
	nats  bool // whether the log is in NATS
	tls   bool // whether the server has a certificate
	// speed is that of the clock, and interval that of scrapes by it; 0 for the usual. A
	// scrape takes two seconds if the log does not answer, so the clock is slower then.
	speed    float64
	interval time.Duration
	quiet    bool // whether nobody calls the server
	// begin makes the fault. The calls that it returns go on until the alert fires.
	begin func(context.Context, *stage) (calls func(context.Context) error, err error)
	// also are the alerts that may fire, too.
	also []string
}

// without returns the names of alerts for which there is no fault.
func without(alerts []string) []string {
	return slices.DeleteFunc(slices.Clone(alerts), func(alert string) bool {
		return slices.ContainsFunc(faults, func(f fault) bool { return f.alert == alert })
	})
}

// once is a fault that needs no calls.
func once(do func(context.Context, *stage) error) func(context.Context, *stage) (func(context.Context) error, error) {
	return func(ctx context.Context, s *stage) (func(context.Context) error, error) { return nil, do(ctx, s) }
}

// calls is a fault that is made by calls, over and over.
func calls(pause time.Duration, do func(context.Context, *stage) error) func(context.Context, *stage) (func(context.Context) error, error) {
	return func(_ context.Context, s *stage) (func(context.Context) error, error) {
		return func(ctx context.Context) error {
			return each(ctx, pause, func(ctx context.Context) error { return do(ctx, s) })
		}, nil
	}
}

// touch makes a file in the folder of the server, for its consumer.
func touch(name string) func(context.Context, *stage) error {
	return func(_ context.Context, s *stage) error { return os.WriteFile(filepath.Join(s.dir, name), nil, 0o600) }
}

// long is a request of more than 100 events.
func long() []byte {
	events := make([]event, 400) // in a small request they are not counted
	for i := range events {
		events[i] = anyEvent()
	}
	return batch(events)
}

// large is a request of events that fill a disk.
func large() []byte {
	var events []event
	for range 8 {
		e := anyEvent()
		e.data = strings.Repeat(e.data, 3000)
		events = append(events, e)
	}
	return batch(events)
}

var faults = []fault{
	{
		alert: "ServerDown", what: "the server is killed",
		begin: once(func(_ context.Context, s *stage) error { return s.server.stop() }),
	},
	{
		alert: "ServerMissing", what: "Prometheus no longer finds a target",
		begin: once(func(_ context.Context, s *stage) error {
			s.scraper.targets <- map[string][]*targetgroup.Group{s.scraper.job: nil}
			return nil
		}),
	},
	{
		alert: "ServerNotReady", what: "the file of the log is moved away",
		begin: once(func(_ context.Context, s *stage) error {
			return os.Rename(filepath.Join(s.dir, "data/observe.db"), filepath.Join(s.dir, "data/elsewhere.db"))
		}),
		also: []string{"LogTakesNoEvents", "CallsFail", "ConsumerStopped", "ConsumerBehind"},
	},
	{
		alert: "ServerNotReady", what: "NATS is stopped", nats: true, speed: 20, interval: time.Minute,
		begin: once(func(_ context.Context, s *stage) error { return s.nats.stop() }),
		also:  []string{"LogTakesNoEvents", "CallsFail", "ConsumerStopped", "ConsumerBehind"},
	},
	{
		alert: "CallsFail", what: "each tenth call ends with Internal",
		begin: calls(100*time.Millisecond, func(ctx context.Context, s *stage) error {
			err := want("Lookup", s.caller.call(ctx, "Lookup", look(uint64(codes.Internal), 0)), codes.Internal)
			for range 9 {
				err = errors.Join(err, want("Lookup", s.caller.call(ctx, "Lookup", look(0, 0)), codes.OK))
			}
			return err
		}),
	},
	{
		alert: "CallsAreSlow", what: "calls take 1.5 seconds",
		begin: calls(0, func(ctx context.Context, s *stage) error {
			return want("Lookup", s.caller.call(ctx, "Lookup", look(0, 1500)), codes.OK)
		}),
	},
	{
		alert: "LimitsReached", what: "a client sends batches that are too long", how: start{flags: []string{"--max-batch", "100"}},
		begin: calls(100*time.Millisecond, func(ctx context.Context, s *stage) error {
			return want("a long batch", s.caller.call(ctx, "PublishBatch", long()), codes.InvalidArgument, codes.ResourceExhausted)
		}),
	},
	{
		alert: "CertificateEndsSoon", what: "the certificate is replaced by one for 10 days", tls: true, speed: 600, interval: time.Minute,
		begin: once(func(_ context.Context, s *stage) error { return putCertificate(s.dir, 10*24*time.Hour) }),
	},
	{
		alert: "CertificateEnds", what: "the certificate is replaced by one for a day", tls: true,
		begin: once(func(_ context.Context, s *stage) error { return putCertificate(s.dir, 24*time.Hour) }),
		also:  []string{"CertificateEndsSoon"},
	},
	{
		alert: "ReloadFails", what: "the certificate is replaced by an empty file", tls: true,
		begin: once(func(_ context.Context, s *stage) error { return replace(s.dir, certFile, nil) }),
	},
	{
		alert: "LogNearlyFull", what: "the disk of 32 MiB has less than a tenth left", how: start{diskBytes: 32 << 20},
		begin: once(func(ctx context.Context, s *stage) error {
			for {
				var disk syscall.Statfs_t
				if err := syscall.Statfs(fmt.Sprintf("/proc/%d/cwd/data", s.server.command.Process.Pid), &disk); err != nil {
					return err
				}
				if disk.Bfree*12 < disk.Blocks {
					return nil
				}
				if err := want("PublishBatch", s.caller.call(ctx, "PublishBatch", large()), codes.OK); err != nil {
					return err
				}
			}
		}), quiet: true,
	},
	{
		alert: "LogTakesNoEvents", what: "the disk of 32 MiB is full", how: start{diskBytes: 32 << 20},
		begin: calls(10*time.Millisecond, func(ctx context.Context, s *stage) error {
			return want("PublishBatch", s.caller.call(ctx, "PublishBatch", large()), codes.OK, codes.ResourceExhausted, codes.Unavailable)
		}), quiet: true,
		also: []string{"LogNearlyFull", "ServerNotReady", "CallsFail"},
	},
	{
		alert: "LogTakesNoEvents", what: "NATS is stopped", nats: true, speed: 20, interval: time.Minute,
		begin: once(func(_ context.Context, s *stage) error { return s.nats.stop() }),
		also:  []string{"ServerNotReady", "CallsFail", "ConsumerStopped", "ConsumerBehind"},
	},
	{
		alert: "ConsumerBehind", what: "events come faster than they are handled",
		begin: once(touch("slow")),
	},
	{
		alert: "ConsumerFails", what: "what handles the events can't be reached",
		begin: once(touch("outage")), also: []string{"ConsumerBehind"},
	},
	{
		alert: "ConsumerStopped", what: "the function that consumes returns",
		begin: once(touch("stopped")), also: []string{"ConsumerBehind"},
	},
	{
		alert: "ConsumerBehind", what: "a process that hangs has the consumer's lease",
		begin: once(func(ctx context.Context, s *stage) error {
			at, err := freeAddresses()
			if err != nil {
				return err
			}
			other, err := startServer(ctx, s.module.server(), s.dir, at, s.how)
			if err != nil {
				return err
			}
			s.others = append(s.others, other)
			// It takes the lease while the first server restarts.
			if err := s.server.stop(); err != nil {
				return err
			}
			if err := other.measures(`eventlog_consumer_running\{.*\} 1`); err != nil {
				return err
			}
			if err := other.command.Process.Signal(syscall.SIGSTOP); err != nil {
				return err
			}
			s.server, err = startServer(ctx, s.module.server(), s.dir, s.at, s.how)
			return err
		}),
	},
	{
		alert: "DeadLetters", what: "a handler gives an event up",
		begin: once(func(ctx context.Context, s *stage) error {
			e := anyEvent()
			e.kind = "given-up"
			return want("Publish", s.caller.call(ctx, "Publish", publish(e)), codes.OK)
		}),
	},
}
