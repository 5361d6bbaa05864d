//go:build unix

// Command bulk compares calls of one unary RPC that are made one by one with those that go
// by a lane (see docs/bulk.md), in one run. Client and server are in one process, and are
// connected by TCP. Beside them is how many events the log alone takes from callers in the
// same process, which no server can exceed that calls a handler for each.
//
//	go run ./bulk                 the rates, with no handler, in memory, in SQLite
//	go run ./bulk -processor      how many per second of processor time
//	go run ./bulk -cpuprofile F   a profile of the lane with -only sqlite
//
// SQLite's disk is synced as it is for users, so the figures depend on the disk.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"example.com/receiver/gen/receiverpb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/bulk"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/memory"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

func main() {
	var b bench
	flag.DurationVar(&b.span, "span", 3*time.Second, "how long each figure is measured")
	flag.StringVar(&b.only, "only", "", "measure this log alone: none, memory or sqlite")
	flag.BoolVar(&b.processor, "processor", false, "count seconds of processor time, of all cores together")
	flag.StringVar(&b.profile, "cpuprofile", "", "write a profile of the lane to this `file`")
	flag.IntVar(&b.window, "window", 1024, "the calls under way of a lane")
	flag.IntVar(&b.rounds, "rounds", 1, "measure so many times, in turn")
	flag.Parse()
	if err := b.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "bulk:", err)
		os.Exit(1)
	}
}

type bench struct {
	span           time.Duration
	only, profile  string
	processor      bool
	window, rounds int
}

// callers is how many make single calls at the same time.
const callers = 64

func (b *bench) run(ctx context.Context) error {
	fmt.Printf("On %d cores, %s for each figure; in brackets the least that should be.\n\n", runtime.GOMAXPROCS(0), b.span)
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "log\tthe log alone\t%d callers\tlane\t×\tprocessor time of a call\tby the lane\t\n", callers)
	for range b.rounds {
		for _, log := range []string{"none", "memory", "sqlite"} {
			if b.only != "" && b.only != log {
				continue
			}
			alone := "–"
			if log != "none" {
				f, err := b.measureLog(ctx, log)
				if err != nil {
					return err
				}
				alone = f.rate(b.processor)
			}
			singly, err := b.measure(ctx, log, b.singly)
			if err != nil {
				return err
			}
			lane, err := b.profiled(func() (figure, error) { return b.measure(ctx, log, b.byLane) })
			if err != nil {
				return err
			}
			goal := ""
			if log == "sqlite" {
				goal = " (4)"
			}
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%.1f%s\t%.1f µs\t%.1f µs\t\n", log, alone, singly.rate(b.processor), lane.rate(b.processor),
				lane.perSecond(b.processor)/singly.perSecond(b.processor), goal, singly.each(), lane.each())
		}
	}
	return out.Flush()
}

// figure is what was measured.
type figure struct {
	calls           int64
	took, processor time.Duration
}

func (f figure) perSecond(processor bool) float64 {
	if processor {
		return float64(f.calls) / f.processor.Seconds()
	}
	return float64(f.calls) / f.took.Seconds()
}

func (f figure) rate(processor bool) string {
	return fmt.Sprintf("%.1fk/s", f.perSecond(processor)/1000)
}

// each returns the processor time of a call, in microseconds.
func (f figure) each() float64 { return f.processor.Seconds() * 1e6 / float64(f.calls) }

func (b *bench) profiled(measure func() (figure, error)) (figure, error) {
	if b.profile == "" {
		return measure()
	}
	file, err := os.Create(b.profile)
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

// service is the demo's service.
type service struct {
	receiverpb.UnimplementedReceiverServer
	log eventlog.Log // nil for none
}

func (s *service) Receive(ctx context.Context, event *receiverpb.Event) (*receiverpb.Reply, error) {
	if s.log != nil {
		if _, err := eventlog.AppendMessages(ctx, s.log, []*receiverpb.Event{event}, attributes); err != nil {
			return nil, err
		}
	}
	return &receiverpb.Reply{Message: "Hello, " + event.GetXwho() + "!"}, nil
}

func attributes(event *receiverpb.Event) eventlog.Event {
	return eventlog.Event{Source: event.GetAppid(), Type: event.GetXwhat(), Subject: event.GetXwho(), Time: time.Unix(int64(event.GetXwhen()), 0)}
}

// measure measures calls of a server with a log, which send makes until its context ends.
// It counts those that were answered, from the first on.
func (b *bench) measure(ctx context.Context, log string, send func(context.Context, *grpc.ClientConn, *receiverpb.Event, *atomic.Int64) error) (f figure, err error) {
	handler := &service{}
	if log != "none" {
		events, remove, err := open(ctx, log)
		if err != nil {
			return f, err
		}
		defer remove()
		handler.log = events
	}
	config := server.Defaults("bench")
	config.Addr, config.LogLevel = "127.0.0.1:0", slog.LevelError
	running, err := server.Listen(config, server.Service{Desc: &receiverpb.Receiver_ServiceDesc, Impl: handler}, (&server.Bulk{On: true}).Option())
	if err != nil {
		return f, err
	}
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- running.Serve(serving) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	conn, err := client.Dial(ctx, running.Addr(), nil)
	if err != nil {
		return f, err
	}
	defer conn.Close()
	return b.count(ctx, func(ctx context.Context, answered *atomic.Int64) error { return send(ctx, conn, event, answered) })
}

// measureLog measures appends to a log, by as many callers as calls of a lane are under way.
func (b *bench) measureLog(ctx context.Context, log string) (f figure, err error) {
	events, remove, err := open(ctx, log)
	if err != nil {
		return f, err
	}
	defer remove()
	return b.count(ctx, func(ctx context.Context, answered *atomic.Int64) error {
		return each(ctx, b.window, func() error {
			id := eventid.New()
			_, err := eventlog.AppendMessages(context.Background(), events, []*receiverpb.Event{event}, func(event *receiverpb.Event) eventlog.Event {
				e := attributes(event)
				e.ID = id
				return e
			})
			answered.Add(1)
			return err
		})
	})
}

// open opens a new log, in memory or in a SQLite file, which remove closes and removes.
func open(ctx context.Context, log string) (events eventlog.Log, remove func(), err error) {
	dir, err := os.MkdirTemp(".", "bulk-")
	if err != nil {
		return nil, nil, err
	}
	url := "memory:"
	if log == "sqlite" {
		url = "sqlite:" + filepath.Join(dir, "events.db")
	}
	if events, err = eventlog.Open(ctx, url); err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return events, func() { _ = errors.Join(events.Close(), os.RemoveAll(dir)) }, nil
}

var details, _ = structpb.NewStruct(map[string]any{"idfa": "idfa1", "amount": 123})

var event = &receiverpb.Event{Appid: "demo", Xwhen: 123, Xwho: "jerry", Xwhat: "install", Xcontext: details}

// count counts what send does until its context ends.
func (b *bench) count(ctx context.Context, send func(ctx context.Context, answered *atomic.Int64) error) (figure, error) {
	var answered atomic.Int64
	sending, enough := context.WithCancel(ctx)
	sent := make(chan error, 1)
	go func() { sent <- send(sending, &answered) }()
	time.Sleep(b.span / 5) // until everything is warm
	calls, clock, processor := answered.Load(), time.Now(), processorTime()
	time.Sleep(b.span)
	f := figure{answered.Load() - calls, time.Since(clock), processorTime() - processor}
	enough()
	return f, <-sent
}

// each calls a function from a number of goroutines, until the context ends or it fails.
func each(ctx context.Context, goroutines int, call func() error) error {
	var all sync.WaitGroup
	errs := make([]error, goroutines)
	for i := range goroutines {
		all.Go(func() {
			for ctx.Err() == nil && errs[i] == nil {
				errs[i] = call()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// singly makes calls one by one, each of a number of callers.
func (b *bench) singly(ctx context.Context, conn *grpc.ClientConn, event *receiverpb.Event, answered *atomic.Int64) error {
	stub := receiverpb.NewReceiverClient(conn)
	return each(ctx, callers, func() error {
		_, err := stub.Receive(eventid.WithID(context.Background(), eventid.New()), event)
		if err == nil {
			answered.Add(1)
		}
		return err
	})
}

// byLane makes calls by a lane.
func (b *bench) byLane(ctx context.Context, conn *grpc.ClientConn, event *receiverpb.Event, answered *atomic.Int64) error {
	lane := bulk.Open(conn, receiverpb.Receiver_Receive_FullMethodName, bulk.Window(b.window, 4<<20))
	var failed atomic.Pointer[error]
	done := func(a bulk.Answer) {
		if a.Err != nil {
			failed.Store(&a.Err)
			return
		}
		answered.Add(1)
	}
	for ctx.Err() == nil && failed.Load() == nil {
		request, err := proto.Marshal(event)
		if err != nil {
			return err
		}
		if err := lane.Send(context.Background(), bulk.Call{ID: eventid.New(), Request: request, Done: done}); err != nil {
			return err
		}
	}
	if err := lane.Close(); err != nil {
		return err
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// processorTime returns how long cores have worked for this process.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
