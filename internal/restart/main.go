//go:build unix

// Command restart restarts generated servers under load, and prints what their callers
// see of it. Two servers with a log each are stopped by SIGTERM in turn, and started
// again, while callers of the generated client call both. Then it stops a server on which
// streams are open that never end by themselves.
//
// It fails if a call fails, if a server does not exit with 0, or if one takes more than
// two seconds beyond its --drain-delay.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// stopsWithin is how long a server may take to exit, beyond its delay.
const stopsWithin = 2 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "restart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	restarts := flag.Int("restarts", 10, "how often the servers are restarted under each load")
	callers := flag.Int("callers", 32, "how many callers there are, each with a call under way")
	flag.Parse()

	dir, err := os.MkdirTemp("", "restart-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program, err := build(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Printf("%d callers, %d restarts in each row\n\n", *callers, *restarts)
	fmt.Printf("%-42s %9s %7s %10s %10s\n", "the servers", "calls", "failed", "slowest", "exit after")
	var missed []string
	for _, scene := range []scene{
		{name: "with defaults"},
		{name: "with --drain-delay 1s", delay: time.Second},
		{name: "with --max-connection-age 1s", flags: []string{"--max-connection-age", "1s"}, pause: 1500 * time.Millisecond},
	} {
		result, err := scene.play(ctx, program, dir, *callers, *restarts)
		if err != nil {
			return fmt.Errorf("%s: %w", scene.name, err)
		}
		fmt.Printf("%-42s %9d %7d %10s %10s\n", scene.name, result.calls, len(result.failed), round(result.slowest), round(result.exit))
		for _, failed := range result.failed {
			missed = append(missed, fmt.Sprintf("%s: a call failed: %v", scene.name, failed))
		}
		if result.exit > stopsWithin+scene.delay {
			missed = append(missed, fmt.Sprintf("%s: a server took %s to exit", scene.name, round(result.exit)))
		}
	}
	exit, ended, err := stopWithStreams(ctx, program, dir)
	if err != nil {
		return err
	}
	fmt.Printf("\na server with %d open streams exits after %s; they end so:\n", len(ended), round(exit))
	count := map[string]int{} // by kind and end
	for _, end := range ended {
		count[fmt.Sprintf("%-22s %v", end.stream, end.err)]++
	}
	for _, kind := range slices.Sorted(maps.Keys(count)) {
		fmt.Printf("  %3d × %s\n", count[kind], kind)
	}
	if exit > stopsWithin {
		missed = append(missed, fmt.Sprintf("with open streams a server took %s to exit", round(exit)))
	}
	if len(missed) > 0 {
		return errors.New(strings.Join(missed, "\n"))
	}
	return nil
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
