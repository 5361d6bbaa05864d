// Command events measures the event log, and for comparison something similar in the
// same run:
//
//	go run ./events                    appends, RPCs, replay, consumers
//	go run ./events -capacity          what an event costs, engine by engine
//	go run ./events -cluster           appends to three NATS servers, beside PublishAsync of nats.go
//	go run ./events -soak 10000000     the memory that many appends take
//	go run ./events -processor         rates per second of processor time, which other programs hardly change
//
// The disk is synced as it is for users, so the figures depend on the disk.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"text/tabwriter"
	"time"
)

func main() {
	seconds := flag.Float64("seconds", 3, "how long each figure is measured")
	engine := flag.String("engine", "", "with -capacity: measure this engine alone")
	capacity := flag.Bool("capacity", false, "measure what docs/capacity.md says of capacity instead")
	cluster := flag.Bool("cluster", false, "compare appends to three NATS servers with PublishAsync instead")
	soak := flag.Int("soak", 0, "append this many events instead, and print the memory")
	processor := flag.Bool("processor", false, "count seconds of processor time, of all cores together")
	flag.Parse()
	began := time.Now()
	b := &bench{clock: func() time.Duration { return time.Since(began) }, span: time.Duration(*seconds * float64(time.Second)), out: tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)}
	run := b.run
	if *processor {
		b.clock = processorTime
	}
	if *capacity {
		run = func(ctx context.Context) error { return errors.Join(b.capacity(ctx, *engine), b.out.Flush()) }
	}
	if *cluster {
		run = b.cluster
	}
	if *soak > 0 {
		run = func(ctx context.Context) error { return b.soak(ctx, *soak) }
	}
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "events:", err)
		os.Exit(1)
	}
}

// bench measures, and prints a table.
type bench struct {
	span  time.Duration
	clock func() time.Duration // by which rates are
	out   *tabwriter.Writer
}

func (b *bench) run(ctx context.Context) error {
	fmt.Printf("On %d cores, %s for each figure; in brackets the least that a ratio should be.\n\n", runtime.GOMAXPROCS(0), b.span)
	for _, part := range []func(context.Context) error{b.appends, b.rpcs, b.reads} {
		if err := part(ctx); err != nil {
			return err
		}
		if err := b.out.Flush(); err != nil {
			return err
		}
		fmt.Println()
	}
	return nil
}

// row prints cells of a table.
func (b *bench) row(cells ...any) {
	for _, cell := range cells {
		fmt.Fprintf(b.out, "%v\t", cell)
	}
	fmt.Fprintln(b.out)
}

// rate is a number of operations per second.
type rate float64

func (r rate) String() string {
	if r >= 10_000 {
		return fmt.Sprintf("%.0fk/s", float64(r)/1000)
	}
	return fmt.Sprintf("%.1fk/s", float64(r)/1000)
}

// to returns the ratio of two rates, and in brackets its goal.
func (r rate) to(other rate, goal float64) string {
	text := fmt.Sprintf("%.2f", float64(r)/float64(other))
	if goal > 0 {
		text += fmt.Sprintf(" (%g)", goal)
	}
	return text
}
