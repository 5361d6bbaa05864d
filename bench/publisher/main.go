//go:build unix

// Command publisher compares events that are published, which are durable on the sender's
// machine before they are sent, with single calls, in one run. Client and server are in one
// process, and are connected by TCP. Both spool and log are in SQLite.
//
//	go run ./publisher                 the rates
//	go run ./publisher -cluster        the rate into three NATS servers, beside PublishAsync of nats.go
//	go run ./publisher -outage 1000000 publishes while the server is away, which then comes back
//	go run ./publisher -cpuprofile F   a profile of publishing
//
// The disk is synced as it is for users, so the figures depend on it (-dir).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"example.com/receiver/gen/receiverpb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/publisher"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

func main() {
	var b bench
	flag.DurationVar(&b.span, "span", 3*time.Second, "how long each figure is measured")
	flag.StringVar(&b.dir, "dir", ".", "where spool and log are")
	flag.StringVar(&b.log, "log", "", "the `URL` of the server's event log, in place of a SQLite file")
	flag.IntVar(&b.outage, "outage", 0, "publish so many events while the server is away")
	cluster := flag.Bool("cluster", false, "compare with PublishAsync, into three NATS servers")
	flag.StringVar(&b.profile, "cpuprofile", "", "write a profile of publishing to this `file`")
	flag.Parse()
	run := b.run
	if *cluster {
		run = b.measureCluster
	}
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "publisher:", err)
		os.Exit(1)
	}
}

type bench struct {
	span              time.Duration
	dir, log, profile string
	outage            int
}

// How many call at the same time.
const (
	callers    = 64  // single calls
	publishers = 512 // Publish
	together   = 100 // events of a PublishAll
	batchers   = 8   // PublishAll
)

func (b *bench) run(ctx context.Context) error {
	if b.outage > 0 {
		return b.measureOutage(ctx)
	}
	fmt.Printf("On %d cores, %s for each figure; in brackets the least that should be.\n\n", runtime.GOMAXPROCS(0), b.span)
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(out, "\tstored\t×\tprocessor time of an event\t\n")
	var first float64
	for _, one := range []struct {
		name string
		send way
		goal string
	}{
		{fmt.Sprintf("single calls, %d callers", callers), callSingly, ""},
		{fmt.Sprintf("Publish, %d callers", publishers), publishSingly, " (4)"},
		{fmt.Sprintf("PublishAll of %d, %d callers", together, batchers), publishTogether, " (4)"},
	} {
		f, err := b.profiled(func() (figure, error) { return b.measure(ctx, one.send) })
		if err != nil {
			return err
		}
		if first == 0 {
			first = f.perSecond()
		}
		fmt.Fprintf(out, "%s\t%.1fk/s\t%.1f%s\t%.1f µs\t\n", one.name, f.perSecond()/1000, f.perSecond()/first, one.goal, f.processor.Seconds()*1e6/float64(f.events))
	}
	return out.Flush()
}

func (b *bench) profiled(measure func() (figure, error)) (figure, error) {
	if b.profile == "" {
		return measure()
	}
	file, err := os.Create(b.profile) // the last one stays
	if err != nil {
		return figure{}, err
	}
	defer file.Close()
	if err := pprof.StartCPUProfile(file); err != nil {
		return figure{}, err
	}
	defer pprof.StopCPUProfile()
	return measure()
}

// figure is what was measured.
type figure struct {
	events          int64
	took, processor time.Duration
}

func (f figure) perSecond() float64 { return float64(f.events) / f.took.Seconds() }

// service is the demo's service.
type service struct {
	receiverpb.UnimplementedReceiverServer
	log    eventlog.Log
	stored atomic.Int64
}

func (s *service) Receive(ctx context.Context, event *receiverpb.Event) (*receiverpb.Reply, error) {
	if _, err := eventlog.AppendMessages(ctx, s.log, []*receiverpb.Event{event}, attributes); err != nil {
		return nil, err
	}
	s.stored.Add(1)
	return &receiverpb.Reply{Message: "stored"}, nil
}

func attributes(event *receiverpb.Event) eventlog.Event {
	return eventlog.Event{Source: event.GetAppid(), Type: event.GetXwhat(), Subject: event.GetXwho(), Time: time.Unix(int64(event.GetXwhen()), 0)}
}

var routes = []publisher.Route{publisher.Takes(publisher.RPC{Name: receiverpb.Receiver_Receive_FullMethodName},
	func(event *receiverpb.Event) publisher.Attributes {
		return publisher.Attributes{Source: event.GetAppid(), Type: event.GetXwhat(), Subject: event.GetXwho()}
	})}

// newEvent returns the nth event: each of a thousand subjects in turn.
func newEvent(n int64) *receiverpb.Event {
	return &receiverpb.Event{Appid: "demo", Xwhen: 123, Xwho: "user-" + strconv.FormatInt(n%1000, 10), Xwhat: "install", Xcontext: details}
}

var details, _ = structpb.NewStruct(map[string]any{"idfa": "idfa1", "amount": 123})

// serve runs a server at an address until the function that it returns is called.
func (b *bench) serve(ctx context.Context, dir, address string) (s *service, at string, stop func() error, err error) {
	url := b.log
	if url == "" {
		url = "sqlite:" + filepath.Join(dir, "events.db")
	}
	s = &service{}
	if s.log, err = eventlog.Open(ctx, url); err != nil {
		return nil, "", nil, err
	}
	config := server.Defaults("bench")
	config.Addr, config.LogLevel = address, slog.LevelError
	running, err := server.Listen(config, server.Service{Desc: &receiverpb.Receiver_ServiceDesc, Impl: s}, (&server.Bulk{On: true}).Option())
	if err != nil {
		return nil, "", nil, err
	}
	serving, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- running.Serve(serving) }()
	return s, running.Addr(), func() error {
		cancel()
		return errors.Join(<-ended, s.log.Close())
	}, nil
}

// way sends events to an address until its context ends.
type way func(ctx context.Context, dir, address string) error

// measure counts the events that are stored while they are sent in some way.
func (b *bench) measure(ctx context.Context, send way) (f figure, err error) {
	dir, err := os.MkdirTemp(b.dir, "publisher-")
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(dir)
	s, address, stop, err := b.serve(ctx, dir, "127.0.0.1:0")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	sending, enough := context.WithCancel(ctx)
	sent := make(chan error, 1)
	go func() { sent <- send(sending, dir, address) }()
	time.Sleep(b.span / 3) // until everything is warm
	events, clock, processor := s.stored.Load(), time.Now(), processorTime()
	time.Sleep(b.span)
	f = figure{s.stored.Load() - events, time.Since(clock), processorTime() - processor}
	enough()
	return f, <-sent
}

// each calls a function from a number of goroutines, until the context ends or it fails.
func each(ctx context.Context, goroutines int, call func(n int64) error) error {
	var all sync.WaitGroup
	var next atomic.Int64
	errs := make([]error, goroutines)
	for i := range goroutines {
		all.Go(func() {
			for ctx.Err() == nil && errs[i] == nil {
				errs[i] = call(next.Add(1))
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// callSingly makes calls one by one.
func callSingly(ctx context.Context, _, address string) error {
	conn, err := client.Dial(ctx, address, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	stub := receiverpb.NewReceiverClient(conn)
	return each(ctx, callers, func(n int64) error {
		_, err := stub.Receive(eventid.WithID(context.Background(), eventid.New()), newEvent(n))
		return err
	})
}

// publishSingly publishes events one by one.
func publishSingly(ctx context.Context, dir, address string) error {
	return publish(ctx, dir, address, publishers, func(p *publisher.Publisher, n int64) error {
		_, err := p.Publish(context.Background(), newEvent(n))
		return err
	})
}

// publishTogether publishes many events at a time.
func publishTogether(ctx context.Context, dir, address string) error {
	return publish(ctx, dir, address, batchers, func(p *publisher.Publisher, n int64) error {
		messages := make([]proto.Message, together)
		for i := range messages {
			messages[i] = newEvent(n*together + int64(i))
		}
		return p.PublishAll(context.Background(), messages...)
	})
}

func publish(ctx context.Context, dir, address string, goroutines int, call func(*publisher.Publisher, int64) error) error {
	p, err := publisher.Open(ctx, filepath.Join(dir, "spool"), address, routes, publisher.MaxBytes(64<<20))
	if err != nil {
		return err
	}
	err = each(ctx, goroutines, func(n int64) error { return call(p, n) })
	return errors.Join(err, p.Close(context.Background()))
}

// processorTime returns how long cores have worked for this process.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// heap returns the bytes of the heap that are in use, after a collection.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapInuse
}

// measureOutage publishes events while the server is away. Then it comes back.
func (b *bench) measureOutage(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp(b.dir, "publisher-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	listener, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return err
	}
	quiet := publisher.Logger(slog.New(slog.DiscardHandler))
	p, err := publisher.Open(ctx, filepath.Join(dir, "spool"), address, routes, publisher.MaxBytes(8<<30), quiet)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	fmt.Printf("On %d cores. The server is away.\n", runtime.GOMAXPROCS(0))
	begin := time.Now()
	const part = 1000
	for n := 0; n < b.outage; n += part {
		messages := make([]proto.Message, min(part, b.outage-n))
		for i := range messages {
			messages[i] = newEvent(int64(n + i))
		}
		if err := p.PublishAll(ctx, messages...); err != nil {
			return err
		}
		if n%(b.outage/5/part*part+part) == 0 {
			fmt.Printf("%9d events published, %4d MB in the spool, %3d MB of heap\n", n+len(messages), p.Stats().Bytes>>20, heap()>>20)
		}
	}
	took := time.Since(begin)
	fmt.Printf("%9d events published, %4d MB in the spool, %3d MB of heap: %.1fk/s\n", b.outage, p.Stats().Bytes>>20, heap()>>20, float64(b.outage)/took.Seconds()/1000)
	s, _, stop, err := b.serve(ctx, dir, address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	begin = time.Now()
	var flushed error
	done := make(chan struct{})
	go func() { flushed = p.Flush(ctx); close(done) }()
	most := uint64(0)
	for going := true; going; {
		select {
		case <-done:
			going = false
		case <-time.After(time.Second):
			most = max(most, heap())
		}
	}
	took = time.Since(begin)
	fmt.Printf("The server is back: %d events stored in %s: %.1fk/s (50), at most %d MB of heap, of client and server\n", s.stored.Load(), took.Round(time.Millisecond), float64(s.stored.Load())/took.Seconds()/1000, most>>20)
	if int(s.stored.Load()) != b.outage {
		return fmt.Errorf("%d events were published, and %d are stored", b.outage, s.stored.Load())
	}
	return flushed
}
