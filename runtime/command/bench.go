//runtime:used

package command

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/terminal"
)

// Bench is the command bench, which measures how long calls that send events take.
//
//	PROGRAM bench COMMAND [flags of the command] --rate 1000 --duration 30s
//
// With a rate, calls begin when they should, whatever became of those before (an open
// loop), and their time counts from then: a server that pauses is charged for all calls
// that should have begun meanwhile, as its callers would. Without one, a number of
// callers call again as soon as they have an answer (a closed loop): that measures how
// much the server takes, not how long callers wait.
//
// The events are stored. Their ids begin with "bench-", which sets them apart from
// others, and a server on another machine needs --yes.
var Bench = Extension{command: Command{
	Name: "bench",
	Doc:  "Measures how long the calls of a command take: bench COMMAND [flags]. It stores events.",
}, tool: tool{run: runBench, plan: func() any { return new(benchPlan) }}, flags: benchFlags}

// benchPlan is what bench was given.
type benchPlan struct {
	rate        float64
	concurrency int
	duration    time.Duration
	warmUp      time.Duration
	events      int
	from        string
	svg         string
	yes         bool
	bulk        bool
}

func benchFlags(c Command, env Env, set *flag.FlagSet) added {
	plan, ok := env.plan.(*benchPlan)
	if !ok || c.RPC == "" {
		return added{}
	}
	var names []string
	name := func(name string) string {
		names = append(names, c.free(name))
		return names[len(names)-1]
	}
	set.Float64Var(&plan.rate, name("rate"), 0, "`NUMBER` of calls a second, an open loop (default: a closed one)")
	set.IntVar(&plan.concurrency, name("concurrency"), 0, "`NUMBER` of calls at once (default 64; in an open loop at most, default 10000)")
	set.DurationVar(&plan.duration, name("duration"), 10*time.Second, "`DURATION` that is measured (default 10s)")
	set.DurationVar(&plan.warmUp, name("warm-up"), 2*time.Second, "`DURATION` before that, which is not (default 2s)")
	if c.Batch != "" || c.Call.manyRequests {
		set.IntVar(&plan.events, name("events"), 100, "`NUMBER` of events of each call (default 100)")
	} else {
		plan.events = 1
	}
	set.StringVar(&plan.from, name("from"), "", "`FILE` with lines to send in turn, NDJSON or .csv (default what the flags say, or a sample)")
	set.StringVar(&plan.svg, name("svg"), "", "`FILE` for a picture of how long calls took")
	if !c.Call.manyRequests {
		set.BoolVar(&plan.bulk, name("bulk"), false, "make calls by the server's bulk lane, as --from does")
	}
	set.BoolVar(&plan.yes, name("yes"), false, "store events on a server of another machine")
	return added{title: "Measuring", names: names, parsed: func(p *parsed) error {
		if plan.concurrency == 0 {
			if plan.concurrency = 64; plan.rate > 0 {
				plan.concurrency = 10_000
			}
		}
		switch {
		case plan.rate < 0 || plan.rate > 1e7:
			return errors.New("--rate: want a number of calls a second, up to 10000000")
		case plan.concurrency < 1 || plan.concurrency > 100_000:
			return errors.New("--concurrency: want a number from 1 to 100000")
		case plan.duration <= 0 || plan.warmUp < 0:
			return errors.New("--duration must be more than 0, and --warm-up not less")
		case plan.events < 1 || plan.events > 10_000:
			return errors.New("--events: want a number from 1 to 10000")
		}
		p.instead = func(context.Context) error { return nil } // lines may have the rest of the request
		return nil
	}}
}

const benchUsage = `Measures how long the calls of a command take. It stores events, whose ids begin
with "bench-".

Usage: PROGRAM bench COMMAND [flags]

With --rate it begins calls at their times (an open loop), and counts how long each took
from when it should have begun. Without, --concurrency callers call again and again (a
closed loop). 'PROGRAM bench COMMAND --help' lists the flags.

Commands:
`

func runBench(ctx context.Context, env Env, commands []Command, args []string) error {
	if len(args) == 0 || slices.Contains(builtin, args[0]) {
		text := strings.ReplaceAll(benchUsage, "PROGRAM", env.Program)
		for _, c := range commands {
			if c.RPC != "" {
				text += "  " + shortest(commands, c) + "\n"
			}
		}
		return write(env.Stdout, text)
	}
	c, err := find(env, commands, args[0])
	if err == nil && c.RPC == "" {
		err = fmt.Errorf("%s sends no events: %q lists the commands that do", c.Name, env.Program+" help bench")
	}
	if err != nil {
		return exit{err, exitMisused}
	}
	plan := &benchPlan{}
	env.plan = plan
	p, err := c.parse(env, args[1:])
	switch {
	case err != nil:
		return exit{err, exitMisused}
	case p.help:
		env.Program += " bench"
		return c.help(env)
	case !plan.yes && !loopback(p.addr):
		return exit{fmt.Errorf("it would store events on %s, another machine: give --yes if that is meant", p.addr), exitMisused}
	}
	b := &benchRun{plan: plan, command: c, run: eventid.New(), errors: map[string]int64{}, slots: make(chan struct{}, plan.concurrency)}
	b.histogram = hdrhistogram.New(1, int64(10*time.Minute/time.Microsecond), 3)
	if b.requests, err = b.payload(env, p); err != nil {
		return err
	}
	lane, err := c.dialLane(ctx, env, p, plan.concurrency, !plan.bulk)
	if err != nil {
		return err
	}
	defer lane.close()
	b.measure(ctx, env, lane)
	err = b.report(env, p)
	if calls, ok := lane.(bulkCalls); ok && !calls.lane.Bulk() {
		err = errors.Join(err, errors.New("the server has no bulk lane: what was measured are single calls"))
	}
	return err
}

// loopback reports whether a server is certainly on this machine.
func loopback(addr string) bool {
	for one := range strings.SplitSeq(addr, ",") {
		if strings.HasPrefix(one, "unix:") {
			continue
		}
		host, _, err := net.SplitHostPort(one)
		if ip := net.ParseIP(host); err != nil || host != "localhost" && !ip.IsLoopback() {
			return false
		}
	}
	return true
}

// benchRun is a measurement.
type benchRun struct {
	plan     *benchPlan
	command  Command
	run      string // in the ids of its events
	requests func(n int64) (requests [][]byte)
	slots    chan struct{}

	mu        sync.Mutex
	histogram *hdrhistogram.Histogram // in microseconds
	errors    map[string]int64        // by code
	first     string                  // error
	began     time.Time               // of what is measured
	ended     time.Time               // of the last call that is
	calls     int64
}

// measure makes the calls.
func (b *benchRun) measure(ctx context.Context, env Env, lane lane) {
	shown := newBar(env, env.Program+": bench "+b.command.Name, -1, tally{}, 0)
	begin := time.Now()
	b.began = begin.Add(b.plan.warmUp)
	until := b.began.Add(b.plan.duration)
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	for n := int64(0); ctx.Err() == nil; n++ {
		start := time.Now()
		if b.plan.rate > 0 {
			start = begin.Add(time.Duration(float64(n) / b.plan.rate * float64(time.Second)))
			if wait := time.Until(start); wait > 0 && start.Before(until) {
				select {
				case <-time.After(wait):
				case <-ctx.Done():
				}
			}
		}
		if !start.Before(until) {
			break
		}
		select {
		case b.slots <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		if b.plan.rate == 0 {
			if start = time.Now(); !start.Before(until) {
				<-b.slots
				break
			}
		}
		id := fmt.Sprintf("bench-%s-%d", b.run, n)
		err := lane.send(sending, id, b.requests(n), func(a laneAnswer) { b.answered(start, a) })
		if err != nil {
			<-b.slots
		}
		if n%64 == 0 {
			b.mu.Lock()
			t := tally{Acknowledged: b.calls * int64(b.plan.events)}
			b.mu.Unlock()
			shown.show(time.Now(), t, 0)
		}
	}
	late := time.AfterFunc(10*time.Second, cancel)
	defer late.Stop()
	for range cap(b.slots) { // until each call has its answer
		b.slots <- struct{}{}
	}
	shown.end()
}

// answered counts a call that began, or should have, at some time.
func (b *benchRun) answered(start time.Time, a laneAnswer) {
	now := time.Now()
	b.mu.Lock()
	defer func() {
		b.mu.Unlock()
		<-b.slots
	}()
	if start.Before(b.began) {
		return // it is of the warm-up
	}
	b.ended = now
	if a.err != nil {
		s := status.Convert(a.err)
		b.errors[s.Code().String()]++
		if b.first == "" {
			b.first = s.Message()
		}
		return
	}
	b.calls++
	took := min(max(now.Sub(start).Microseconds(), 1), b.histogram.HighestTrackableValue())
	_ = b.histogram.RecordValue(took) // it is in the range
}

// Bounds of the lines that bench keeps.
const (
	maxBenchLines = 10_000
	maxBenchBytes = 64 << 20
)

// payload returns the requests of the nth call: what flags say, the lines of a file in
// turn, or a sample. A field for the id has one of its own in each.
func (b *benchRun) payload(env Env, p *parsed) (func(int64) [][]byte, error) {
	f := &from{command: b.command, env: env, parsed: p, file: b.plan.from}
	if strings.EqualFold(filepath.Ext(f.file), ".csv") {
		f.format = "csv"
	}
	s := &source{name: "a sample", reader: strings.NewReader(""), size: 0}
	given := p.request != nil && proto.Size(p.request) > 0
	if f.file != "" {
		var err error
		if s, err = openSource(f.file, env.Stdin); err != nil {
			return nil, err
		}
		if s.file != nil {
			defer s.file.Close()
		}
	}
	feed, err := f.feeder(s)
	if err != nil {
		return nil, err
	}
	var messages []proto.Message
	size := 0
	for f.file != "" && len(messages) < maxBenchLines && size < maxBenchBytes {
		l, err := feed.lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		var one decoded
		if err == nil {
			one, err = feed.decode.decode(l)
		}
		message := feed.decode.empty()
		if err == nil {
			err = proto.UnmarshalOptions{AllowPartial: true}.Unmarshal(one.message, message)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", f.file, l.number, err)
		}
		messages = append(messages, message)
		size += len(l.text)
	}
	if len(messages) == 0 {
		if f.file != "" {
			return nil, fmt.Errorf("%s has no lines", f.file)
		}
		sample := feed.decode.empty()
		if !given || feed.batch != nil {
			fillSample(sample.ProtoReflect(), 0)
		}
		messages = append(messages, sample)
	}
	var idField []protoreflect.FieldDescriptor
	if b.command.ID != "" {
		if idField, err = fieldPath(messages[0].ProtoReflect().Descriptor(), b.command.ID); err != nil {
			return nil, err
		}
	}
	encoded := make([][]byte, len(messages))
	for i, message := range messages {
		if idField != nil {
			clearPath(message.ProtoReflect(), idField)
		}
		if encoded[i], err = (proto.MarshalOptions{AllowPartial: true}).Marshal(message); err != nil {
			return nil, err
		}
	}
	return func(n int64) [][]byte {
		all := make([]decoded, b.plan.events)
		for i := range all {
			at := n*int64(b.plan.events) + int64(i)
			all[i].message = encoded[at%int64(len(encoded))]
			if idField != nil {
				all[i].message = appendAt(slices.Clip(all[i].message), idField, fmt.Sprintf("bench-%s-%d", b.run, at))
			}
		}
		return feed.requests(all)
	}, nil
}

// benchResult is what was measured. Times are in milliseconds.
type benchResult struct {
	Command     string           `json:"command"`
	Addr        string           `json:"addr"`
	Loop        string           `json:"loop"`
	Rate        float64          `json:"rate,omitempty"`
	Concurrency int              `json:"concurrency"`
	Seconds     float64          `json:"seconds"`
	Calls       int64            `json:"calls"`
	Events      int64            `json:"events"`
	PerSecond   float64          `json:"eventsPerSecond"`
	Errors      map[string]int64 `json:"errors"`
	Mean        float64          `json:"mean"`
	Percentiles []percentile     `json:"percentiles"`
	IDs         string           `json:"ids"`
}

type percentile struct {
	Percent      float64 `json:"percent"`
	Milliseconds float64 `json:"milliseconds"`
}

var percents = []float64{50, 75, 90, 99, 99.9, 99.99, 100}

// report prints what was measured.
func (b *benchRun) report(env Env, p *parsed) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	seconds := b.ended.Sub(b.began).Seconds()
	if b.calls == 0 || seconds <= 0 {
		if len(b.errors) == 0 {
			return errors.New("no call began and ended in time")
		}
		return fmt.Errorf("no call was answered well: %s", b.failures())
	}
	r := benchResult{Command: b.command.Name, Addr: p.addr, Loop: "closed", Rate: b.plan.rate, Concurrency: b.plan.concurrency,
		Seconds: seconds, Calls: b.calls, Events: b.calls * int64(b.plan.events), Errors: b.errors,
		Mean: b.histogram.Mean() / 1e3, IDs: "bench-" + b.run + "-"}
	r.PerSecond = float64(r.Events) / seconds
	if b.plan.rate > 0 {
		r.Loop = "open"
	}
	for _, percent := range percents {
		r.Percentiles = append(r.Percentiles, percentile{percent, float64(b.histogram.ValueAtPercentile(percent)) / 1e3})
	}
	text := b.text(r)
	if p.json {
		encoded, err := json.Marshal(r)
		if err != nil {
			return err
		}
		text = string(encoded) + "\n"
	}
	err := write(env.Stdout, text)
	if b.plan.svg != "" { // after what was measured, which must not be lost
		err = errors.Join(err, os.WriteFile(b.plan.svg, []byte(b.picture(r)), 0o644))
	}
	return err
}

// failures returns in words how calls have failed.
func (b *benchRun) failures() string {
	var all []string
	for _, code := range slices.Sorted(maps.Keys(b.errors)) {
		all = append(all, fmt.Sprintf("%s failed with %s", grouped(b.errors[code]), code))
	}
	return fmt.Sprintf("%s (the first: %s)", strings.Join(all, ", "), terminal.Text(b.first))
}

// text returns a result for people.
func (b *benchRun) text(r benchResult) string {
	var text strings.Builder
	loop := fmt.Sprintf("closed loop of %d callers", r.Concurrency)
	if r.Rate > 0 {
		loop = fmt.Sprintf("open loop of %s calls a second", grouped(int64(r.Rate)))
	}
	fmt.Fprintf(&text, "%s at %s, %s, %.1f s\n%s calls, %s events, %s events/s\n", r.Command, r.Addr, loop, r.Seconds,
		grouped(r.Calls), grouped(r.Events), grouped(int64(r.PerSecond)))
	if len(r.Errors) > 0 {
		fmt.Fprintf(&text, "%s\n", b.failures())
	}
	fmt.Fprint(&text, "\npercent      milliseconds\n")
	for _, p := range r.Percentiles {
		fmt.Fprintf(&text, "%7s %17.3f\n", fmt.Sprint(p.Percent), p.Milliseconds)
	}
	text.WriteString("\n")
	buckets := b.buckets()
	most := int64(0)
	for _, bucket := range buckets {
		most = max(most, bucket.count)
	}
	for _, bucket := range buckets {
		width := int(50 * bucket.count / most)
		if bucket.count > 0 {
			width = max(width, 1)
		}
		fmt.Fprintf(&text, "%s\n", strings.TrimRight(fmt.Sprintf("%8.3f ms … %8.3f ms %10s %s",
			float64(bucket.from)/1e3, float64(bucket.to)/1e3, grouped(bucket.count), strings.Repeat("#", width)), " "))
	}
	fmt.Fprintf(&text, "\nThe ids of the events begin with %s\n", r.IDs)
	return text.String()
}

// bucket is how many calls took some time, in microseconds.
type bucket struct{ from, to, count int64 }

// buckets returns how the times are distributed, in steps of factor √2.
func (b *benchRun) buckets() (all []bucket) {
	bars := b.histogram.Distribution()
	edges := []int64{0}
	for edge := 1.0; edges[len(edges)-1] <= b.histogram.Max(); edge *= 1.4142135623730951 {
		if next := int64(edge); next > edges[len(edges)-1] {
			edges = append(edges, next)
		}
	}
	for i := range edges[1:] {
		one := bucket{from: edges[i], to: edges[i+1]}
		for _, bar := range bars {
			if bar.From >= one.from && bar.From < one.to {
				one.count += bar.Count
			}
		}
		all = append(all, one)
	}
	filled := func(one bucket) bool { return one.count > 0 }
	first := max(slices.IndexFunc(all, filled), 0)
	for len(all) > first+1 && !filled(all[len(all)-1]) {
		all = all[:len(all)-1]
	}
	return all[first:]
}

// picture returns an SVG of how the times are distributed. It has no script, and texts of
// this program only.
func (b *benchRun) picture(r benchResult) string {
	buckets := b.buckets()
	most := int64(1)
	for _, bucket := range buckets {
		most = max(most, bucket.count)
	}
	const left, top, width, height = 60, 70, 680, 260
	step := float64(width) / float64(len(buckets))
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 400" font-family="sans-serif" font-size="12">
<rect width="800" height="400" fill="#fff"/>
<text x="%d" y="28" font-size="16">%s: %s events/s, %s loop</text>
<text x="%d" y="50">`, left, svgText(r.Command), grouped(int64(r.PerSecond)), r.Loop, left)
	for _, p := range r.Percentiles {
		fmt.Fprintf(&svg, "p%v %.2f ms   ", p.Percent, p.Milliseconds)
	}
	fmt.Fprint(&svg, "</text>\n")
	every := max(len(buckets)/10, 1)
	for i, bucket := range buckets {
		tall := float64(height) * float64(bucket.count) / float64(most)
		x := left + float64(i)*step
		fmt.Fprintf(&svg, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#2563eb"><title>%.3f to %.3f ms: %s calls</title></rect>`+"\n",
			x, top+height-tall, max(step-1, 0.5), tall, float64(bucket.from)/1e3, float64(bucket.to)/1e3, grouped(bucket.count))
		if i%every == 0 {
			fmt.Fprintf(&svg, `<text x="%.1f" y="%d" text-anchor="middle">%.3g</text>`+"\n", x, top+height+18, float64(bucket.from)/1e3)
		}
	}
	fmt.Fprintf(&svg, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#000"/>
<text x="%d" y="%d" text-anchor="middle">milliseconds</text>
<text x="%d" y="%d" text-anchor="end">%s</text>
</svg>
`, left, top+height, left+width, top+height, left+width/2, top+height+44, left-6, top+10, grouped(most))
	return svg.String()
}

func svgText(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}
