package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate/query"
)

// callers is how many append at a time.
const callers = 64

// besideAppends prints the rates of appends, and what they took, without another process
// that asks and with one, in turns that follow each other at once: what else the machine
// does is about the same in two of them.
func besideAppends(ctx context.Context, log eventlog.Log, url string, turns int, span time.Duration) error {
	kind, err := orderEvent(ctx)
	if err != nil {
		return err
	}
	load := &load{log: log, kind: kind}
	load.next.Store(1 << 40)
	most, err := load.compare(ctx, url, "", 0, 2, span)
	if err != nil {
		return err
	}
	fmt.Printf("\nAppends by %d callers, without and with a process that asks all the time: medians of %d turns of %v each.\n\n", callers, turns, span)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "load\tquery\tappends/s alone\tbeside\tchange\thalf of the turns\tprocessor each alone\tbeside\tp50, p99 alone\tbeside\tquery: of a core\tit takes\t")
	for _, rate := range []float64{most.alone.rate / 2, 0} {
		for _, mode := range []string{"", "-fast"} {
			c, err := load.compare(ctx, url, mode, rate, turns, span)
			if err != nil {
				return err
			}
			fmt.Fprintf(table, "%s\t%s\t%.0f\t%.0f\t%+.1f %%\t%+.1f to %+.1f %%\t%v\t%v\t%v, %v\t%v, %v\t%.0f %%\t%v\t\n", map[bool]string{true: "half", false: "full"}[rate > 0],
				map[bool]string{true: "as is", false: "--fast"}[mode == ""], c.alone.rate, c.beside.rate, at(c.changes, 50), at(c.changes, 25), at(c.changes, 75),
				c.alone.cost.Round(time.Microsecond/10), c.beside.cost.Round(time.Microsecond/10),
				round(c.alone.p50), round(c.alone.p99), round(c.beside.p50), round(c.beside.p99), c.share, at(c.asked, 50).Round(time.Millisecond))
		}
	}
	return table.Flush()
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// at returns the value that a percentage of the values is below.
func at[T float64 | time.Duration](of []T, percent int) (value T) {
	if len(of) == 0 {
		return value
	}
	slices.Sort(of)
	return of[min(len(of)-1, len(of)*percent/100)]
}

// load is callers that append.
type load struct {
	log  eventlog.Log
	kind protoreflect.MessageDescriptor
	next atomic.Int64
}

// comparison is what was measured of a load.
type comparison struct {
	alone, beside result
	changes       []float64 // of the rate from one turn to the next, in percent
	asked         []time.Duration
	share         float64 // of a core that the process has which asks, in percent
}

type result struct {
	rate     float64       // appends in a second
	cost     time.Duration // of the processor, for an append
	p50, p99 time.Duration
}

// compare appends so many events in a second, or, if rate is 0, as many as there can be. In
// every second turn another process asks.
func (l *load) compare(ctx context.Context, url, mode string, rate float64, turns int, span time.Duration) (c comparison, err error) {
	asking, err := startAsking(ctx, url, mode)
	if err != nil {
		return c, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	var turn atomic.Int64 // those with an odd number are beside a query
	counts, durations, errs := [2]atomic.Int64{}, make([][2][]time.Duration, callers), make([]error, callers)
	begin := time.Now()
	for caller := range callers {
		all.Go(func() {
			for i := 0; errs[caller] == nil && ctx.Err() == nil; i++ {
				due := time.Now()
				if rate > 0 {
					due = begin.Add(time.Duration(float64(i*callers+caller) / rate * float64(time.Second)))
					time.Sleep(time.Until(due))
				}
				event, err := newOrder(int(l.next.Add(1))).event(l.kind)
				if err == nil {
					_, err = l.log.Append(context.WithoutCancel(ctx), event)
				}
				errs[caller] = err
				which := turn.Load() % 2
				counts[which].Add(1)
				durations[caller][which] = append(durations[caller][which], time.Since(due))
			}
		})
	}
	var rates [2][]float64
	var used [2]time.Duration
	var wall, asked time.Duration
	for i := range 2 * turns {
		turn.Store(int64(i))
		which := i % 2
		err = errors.Join(err, asking.order(which == 1))
		before, since, own, other := counts[which].Load(), time.Now(), processorTime(), asking.processorTime()
		time.Sleep(span)
		rates[which] = append(rates[which], float64(counts[which].Load()-before)/time.Since(since).Seconds())
		used[which] += processorTime() - own
		if which == 1 {
			wall += time.Since(since)
			asked += asking.processorTime() - other
		}
	}
	cancel()
	all.Wait()
	took, stopped := asking.stop()
	for i := range turns {
		c.changes = append(c.changes, 100*(rates[1][i]/rates[0][i]-1))
	}
	for which, of := range []*result{&c.alone, &c.beside} {
		var all []time.Duration
		for _, each := range durations {
			all = append(all, each[which]...)
		}
		*of = result{at(rates[which], 50), used[which] / time.Duration(max(1, len(all))), at(all, 50), at(all, 99)}
	}
	c.share = 100 * asked.Seconds() / wall.Seconds()
	c.asked = took
	return c, errors.Join(errors.Join(errs...), err, stopped)
}

// asking is a process that asks while it should, and prints how long each query takes.
type asking struct {
	command *exec.Cmd
	wishes  io.Writer
	lines   *bufio.Scanner
}

// startAsking returns once the process has opened the log. It is one of another session, as
// that of a person is: Linux shares the processor among sessions first.
func startAsking(ctx context.Context, url, mode string) (*asking, error) {
	args := []string{"-ask", url}
	if mode != "" {
		args = append(args, mode)
	}
	a := &asking{command: exec.CommandContext(ctx, os.Args[0], args...)}
	a.command.Stderr = os.Stderr
	a.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := a.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := a.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := a.command.Start(); err != nil {
		return nil, err
	}
	a.wishes, a.lines = in, bufio.NewScanner(out)
	if !a.lines.Scan() {
		return nil, errors.Join(errors.New("the process that asks ended"), a.command.Wait())
	}
	return a, nil
}

// order makes the process ask, or end its query.
func (a *asking) order(ask bool) error {
	_, err := fmt.Fprintln(a.wishes, ask)
	return err
}

// processorTime returns how much the process has had; 0 where that is not known.
func (a *asking) processorTime() (had time.Duration) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", a.command.Process.Pid))
	for _, thread := range threads {
		text, _ := os.ReadFile(thread)
		var nanoseconds int64
		_, _ = fmt.Sscan(string(text), &nanoseconds)
		had += time.Duration(nanoseconds)
	}
	return had
}

// stop ends the process, and returns how long its queries took that it did not have to end.
func (a *asking) stop() (took []time.Duration, err error) {
	err = a.command.Process.Kill()
	for a.lines.Scan() {
		nanoseconds, parsed := strconv.ParseInt(a.lines.Text(), 10, 64)
		if parsed == nil {
			took = append(took, time.Duration(nanoseconds))
		}
	}
	_ = a.command.Wait() // it was killed
	return took, err
}

// askForever asks while it should, until the process is killed.
func askForever(ctx context.Context, url string, fast bool) error {
	log, err := eventlog.OpenReader(ctx, url)
	if err != nil {
		return err
	}
	wishes := make(chan bool)
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			wishes <- in.Text() == "true"
		}
	}()
	query.GiveWay() // as events sql does
	db, err := query.Open(ctx, log, query.Range{}, nil)
	if err != nil {
		return err
	}
	if fast {
		db.Hurry()
	}
	fmt.Println("open")
	for {
		for !<-wishes {
		}
		asking, stop := context.WithCancel(ctx)
		go func() {
			for <-wishes {
			}
			stop()
		}()
		for asking.Err() == nil {
			begin := time.Now()
			if err := drain(asking, queries[0], db.Query); err == nil {
				fmt.Println(time.Since(begin).Nanoseconds())
			} else if asking.Err() == nil {
				return err
			}
		}
	}
}
