package eventlog

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// How much is read of a log to find out which schemas its events have. Up to
// maxCounted events, with maxCountedBytes, are counted one by one; of a larger log
// sampleSpots samples are taken, spread evenly from its first event to its last, of
// sampleEvents events and about sampleBytes each.
const (
	maxCounted      = 20_000
	maxCountedBytes = 64 << 20
	sampleSpots     = 24
	sampleEvents    = 256
	sampleBytes     = 512 << 10
)

// schemaCounts says how many events of each schema a log has: exactly, or, of a
// large log, as estimated from samples. Those may miss a schema that few events have.
type schemaCounts struct {
	events map[string]int64
	exact  bool
}

// countSchemas counts the schemas of the events that are stored. What it costs does
// not grow with the log.
func countSchemas(ctx context.Context, log Log) (schemaCounts, error) {
	stats, err := log.Stats(ctx)
	if err != nil || stats.Events == 0 {
		return schemaCounts{exact: true}, err
	}
	counts := schemaCounts{events: map[string]int64{}, exact: stats.Events <= maxCounted && stats.Bytes <= maxCountedBytes}
	if counts.exact {
		return counts, counts.add(ctx, log, stats.First-1, maxCounted, 2*maxCountedBytes)
	}
	// Each sample begins at the same place of one of as many equal parts, except that
	// the last ends with the log: the oldest and the newest schema are always seen.
	span := stats.Last - stats.First + 1
	for spot := range Position(sampleSpots) {
		after := stats.First - 1 + spot*max(0, span-sampleEvents)/(sampleSpots-1)
		if err := counts.add(ctx, log, after, sampleEvents, sampleBytes); err != nil {
			return counts, err
		}
	}
	sampled := int64(0)
	for _, count := range counts.events {
		sampled += count
	}
	for schema, count := range counts.events {
		counts.events[schema] = max(1, int64(float64(count)/float64(sampled)*float64(stats.Events)))
	}
	return counts, nil
}

// add counts the events after a position, up to a number of events, or of bytes.
func (c *schemaCounts) add(ctx context.Context, log Log, after Position, events, bytes int) error {
	for record, err := range log.Read(ctx, After(after)) {
		if err != nil {
			return err
		}
		c.events[record.Schema]++
		events--
		if bytes -= record.Size(); events <= 0 || bytes <= 0 {
			break
		}
	}
	return nil
}

// warnedOf are the schemas that this process has warned of.
var warnedOf sync.Map

// warnOfUnread warns, once in a process, of each schema of stored events that no
// message type of this program is read as: most likely the message was renamed.
func warnOfUnread(ctx context.Context, log Log, logger *slog.Logger, isRead func(schema string) bool) {
	counts, err := countSchemas(ctx, log)
	if err != nil {
		logger.DebugContext(ctx, "it is not known which schemas the stored events have", "error", err)
		return
	}
	for _, schema := range slices.Sorted(maps.Keys(counts.events)) {
		if isRead(schema) {
			continue
		}
		if _, warned := warnedOf.LoadOrStore(schema, true); !warned {
			logger.WarnContext(ctx, fmt.Sprintf("%s stored, and nothing here reads them; "+
				`if that message was renamed, write "// receiver:was=%s" above it and generate again`, counts.of(schema), schema))
		}
	}
}

// of returns in words how many events there are of a schema, and that they are.
func (c schemaCounts) of(schema string) string {
	switch n := c.events[schema]; {
	case !c.exact:
		return fmt.Sprintf("about %d events of %s are", n, schema)
	case n == 1:
		return fmt.Sprintf("1 event of %s is", schema)
	default:
		return fmt.Sprintf("%d events of %s are", n, schema)
	}
}

// warnInBackground warns of unread events, and returns a function that ends it.
func (c *consumption) warnInBackground(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { warnOfUnread(ctx, c.log, c.logger, c.isRead) })
	return func() {
		cancel()
		running.Wait()
	}
}

// firstTail is done once the first tail of the process has warned of events that
// nothing reads: a program may have no consumer that would.
var firstTail sync.Once

// warnAtFirstTail warns of unread events in the background, if this is the first tail.
func (s schema[M]) warnAtFirstTail(ctx context.Context, log Log) {
	firstTail.Do(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		go func() {
			defer cancel()
			warnOfUnread(ctx, log, slog.Default(), func(schema string) bool {
				_, found := FindMessage(schema)
				return found || slices.Contains(s.names, schema)
			})
		}()
	})
}

// isRead reports whether this program reads events of a schema, this consumer or
// another.
func (c *consumption) isRead(schema string) bool {
	_, found := FindMessage(schema)
	return found || c.wants(&Record{Event: Event{Schema: schema}})
}

// passOver logs that the consumer does not handle an event, if it is the first of a
// schema that this program does not read at all.
func (d *delivery) passOver(record *Record) {
	if d.passedOver[record.Schema] {
		return
	}
	d.passedOver[record.Schema] = true
	if !d.isRead(record.Schema) {
		d.logger.Warn("the consumer passes over events of a message type that nothing here reads", "schema", record.Schema, "first", record.Position)
	}
}

// unreadable has how many events of each message type could not be read, and the
// last one's position.
var unreadable struct {
	sync.Mutex
	types map[string]unreadableType
}

type unreadableType struct {
	count int64
	last  Position
}

// logUnreadable logs that an event is passed over: once, whoever follows the log,
// and of many events of one type the 1st, 10th, 100th and so on.
func logUnreadable(ctx context.Context, record *Record, err error) {
	unreadable.Lock()
	defer unreadable.Unlock()
	known := unreadable.types[record.Schema]
	if record.Position <= known.last {
		return
	}
	known = unreadableType{known.count + 1, record.Position}
	if unreadable.types == nil {
		unreadable.types = make(map[string]unreadableType)
	}
	unreadable.types[record.Schema] = known
	power := known.count
	for power%10 == 0 {
		power /= 10
	}
	if power == 1 {
		slog.ErrorContext(ctx, "a tail passes over an event that can't be read", "error", err, "count", known.count)
	}
}
