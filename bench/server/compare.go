//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	"example.com/receiver/gen/receiverpb"
)

// connections are the numbers of connections over which the callers call.
var connections = []int{1, 8}

// figures are what a call took in one round.
type figures struct {
	processor      time.Duration
	mallocs, bytes float64
}

// compare measures all variants, and prints how they compare to the first.
func (b *bench) compare(ctx context.Context, measured []variant) error {
	fmt.Printf("%d callers, %d cores for callers and servers, %d times %s for each server. The ratio is the median, in\n"+
		"brackets the most that it should be; then the quartiles of what the times give.\n\n", b.callers, runtime.GOMAXPROCS(0), b.rounds, b.span)
	b.row("connections", "server", "time of a core", "ratio", "quartiles", "allocations", "bytes", "resident")
	var late error
	for _, n := range connections {
		err := b.compareOver(ctx, measured, n)
		if missed := (*missedGoal)(nil); errors.As(err, &missed) {
			late = errors.Join(late, err)
		} else if err != nil {
			return err
		}
	}
	return errors.Join(b.out.Flush(), late)
}

// missedGoal is the error that a server costs more than it should.
type missedGoal struct {
	name        string
	ratio, most float64
	connections int
}

func (m *missedGoal) Error() string {
	return fmt.Sprintf("%s: a call over %d connections takes %.2f times as much as with grpc-go alone, and should take at most %.2f", m.name, m.connections, m.ratio, m.most)
}

func (b *bench) compareOver(ctx context.Context, measured []variant, connections int) (err error) {
	var loads []*load
	defer func() {
		for _, l := range loads {
			err = errors.Join(err, l.stop())
		}
	}()
	for _, v := range measured {
		l, err := b.newLoad(v, connections)
		if err != nil {
			return err
		}
		loads = append(loads, l)
		if _, err := l.measure(ctx, b.callers, b.span); err != nil { // warms up
			return err
		}
	}
	all := make([][]figures, len(loads))
	for round := range b.rounds {
		for i := range loads {
			if round%2 == 1 {
				i = len(loads) - 1 - i
			}
			one, err := loads[i].measure(ctx, b.callers, b.span)
			if err != nil {
				return err
			}
			all[i] = append(all[i], one)
		}
	}
	for i, l := range loads {
		err = errors.Join(err, b.print(l, all[i], all[0], connections))
	}
	return err
}

// print prints the row of a server. The error is a [missedGoal], or what went wrong.
func (b *bench) print(l *load, its, first []figures, connections int) error {
	now, err := l.server.usage("")
	if err != nil {
		return err
	}
	var times, mallocs, bytes, ratios []float64
	for round, one := range its {
		times = append(times, float64(one.processor)/1e3)
		mallocs, bytes = append(mallocs, one.mallocs), append(bytes, one.bytes)
		ratios = append(ratios, float64(one.processor)/float64(first[round].processor))
	}
	ratio, goal := quantile(ratios, 0.5), ""
	if l.server.most > 0 {
		goal = fmt.Sprintf(" (%.2f)", l.server.most)
	}
	b.row(connections, l.server.name, fmt.Sprintf("%.1f µs", quantile(times, 0.5)), fmt.Sprintf("%.2f%s", ratio, goal),
		fmt.Sprintf("%.2f to %.2f", quantile(ratios, 0.25), quantile(ratios, 0.75)),
		fmt.Sprintf("%.0f", quantile(mallocs, 0.5)), fmt.Sprintf("%.0f", quantile(bytes, 0.5)), megabytes(now.Resident))
	if l.server.most > 0 && ratio > l.server.most {
		return &missedGoal{l.server.name, ratio, l.server.most, connections}
	}
	return nil
}

// quantile returns the value that a share of all values is below.
func quantile(values []float64, share float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(share*float64(len(sorted)-1)+0.5)]
}

func megabytes(bytes uint64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// load is a server, and connections to it.
type load struct {
	server  *process
	conns   []*grpc.ClientConn
	message *receiverpb.Event
	callers []func(context.Context) error
}

func (b *bench) newLoad(v variant, connections int) (*load, error) {
	fields := map[string]any{"idfa": "idfa1", "amount": 123}
	if b.text > 0 {
		fields["text"] = strings.Repeat("x", b.text)
	}
	details, err := structpb.NewStruct(fields)
	if err != nil {
		return nil, err
	}
	l := &load{message: &receiverpb.Event{Appid: "demo", Xwhen: 123, Xwho: "jerry", Xwhat: "install", Xcontext: details}}
	if l.server, err = startProcess(v, b.profiles); err != nil {
		return nil, err
	}
	for range connections {
		conn, err := grpc.NewClient(l.server.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, errors.Join(err, l.stop())
		}
		l.conns = append(l.conns, conn)
	}
	if v.json != "" {
		l.callers, err = jsonCallers(v.json == "2", l.server.HTTP, connections, b.callers, l.message)
		return l, err
	}
	for i := range b.callers {
		client := receiverpb.NewReceiverClient(l.conns[i%len(l.conns)])
		l.callers = append(l.callers, func(ctx context.Context) error {
			_, err := client.Receive(ctx, l.message)
			return err
		})
	}
	return l, nil
}

// measure calls the server for some time, and returns what a call took.
func (l *load) measure(ctx context.Context, callers int, span time.Duration) (figures, error) {
	before, err := l.server.usage("collect")
	if err != nil {
		return figures{}, err
	}
	calls, err := l.call(ctx, callers, span)
	if err != nil {
		return figures{}, err
	}
	after, err := l.server.usage("")
	return figures{
		processor: (after.Processor - before.Processor) / time.Duration(calls),
		mallocs:   float64(after.Mallocs-before.Mallocs) / float64(calls),
		bytes:     float64(after.Bytes-before.Bytes) / float64(calls),
	}, err
}

// call calls the server for some time, and returns the number of calls.
func (l *load) call(ctx context.Context, callers int, span time.Duration) (int64, error) {
	ctx = metadata.AppendToOutgoingContext(ctx, l.server.Metadata...)
	var calls atomic.Int64
	errs := make([]error, callers)
	end := time.Now().Add(span)
	var group sync.WaitGroup
	for i := range callers {
		call := l.callers[i]
		group.Go(func() {
			for errs[i] == nil && (time.Now().Before(end) || calls.Load() == 0) {
				errs[i] = call(ctx)
				calls.Add(1)
			}
		})
	}
	group.Wait()
	return calls.Load(), errors.Join(errs...)
}

func (l *load) stop() (err error) {
	for _, conn := range l.conns {
		err = errors.Join(err, conn.Close())
	}
	return errors.Join(err, l.server.stop())
}
