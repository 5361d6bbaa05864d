// Command sql measures what it costs to ask a log in SQL, beside the same query on a table
// with a plain column for each field; the memory that it takes; and what another process
// that asks takes from the rate of appends.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	_ "modernc.org/sqlite"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate/query"
)

const orders = `syntax = "proto3"; package shop.v1;
	import "google/protobuf/timestamp.proto";
	message OrderEvent {
		string event_id = 1; string shop = 2; string kind = 3; string user_id = 4; google.protobuf.Timestamp placed = 5;
		int64 amount = 6; double weight = 7; string note = 8; repeated string tags = 9; Money total = 10;
	}
	message Money { string currency = 1; int64 cents = 2; }`

// queries are asked of both tables.
var queries = []string{
	"SELECT count(*) FROM order_event WHERE user_id = 'customer-7'",
	"SELECT count(*), sum(amount) FROM order_event WHERE amount > 5000",
	"SELECT count(*) FROM order_event WHERE placed >= '2026-10-01'",
	"SELECT count(*) FROM (SELECT user_id, sum(amount) FROM order_event GROUP BY 1)",
	"SELECT count(*) FROM order_event WHERE total->>'cents' > 5000",
	"SELECT count(*) FROM order_event WHERE subject = 'customer-7'",
}

func main() {
	events := flag.Int("events", 1_000_000, "how many events the log has")
	seconds := flag.Float64("seconds", 4, "how long each rate of appends is measured")
	turns := flag.Int("turns", 10, "how often each rate of appends is measured")
	ask := flag.String("ask", "", "ask this log, again and again, until this process is killed")
	fast := flag.Bool("fast", false, "ask without pauses")
	flag.Parse()
	ctx := context.Background()
	var err error
	if *ask != "" {
		err = askForever(ctx, *ask, *fast)
	} else {
		err = run(ctx, *events, *turns, time.Duration(*seconds*float64(time.Second)))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sql:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, events, turns int, span time.Duration) error {
	dir, err := os.MkdirTemp("", "bench-sql-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	url := "sqlite:" + filepath.Join(dir, "events.db")
	log, err := eventlog.Open(ctx, url)
	if err != nil {
		return err
	}
	plain, err := fill(ctx, log, filepath.Join(dir, "plain.db"), events)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	err = errors.Join(compare(ctx, log, plain, events), plain.Close())
	if err == nil {
		err = besideAppends(ctx, log, url, turns, span)
	}
	return errors.Join(err, log.Close())
}

// fill appends events, and puts their fields into a table with plain columns.
func fill(ctx context.Context, log eventlog.Log, path string, events int) (*sql.DB, error) {
	kind, err := orderEvent(ctx)
	if err != nil {
		return nil, err
	}
	plain, err := sql.Open("sqlite", path)
	if err != nil {
		return nil, err
	}
	plain.SetMaxOpenConns(1)
	_, err = plain.ExecContext(ctx, `CREATE TABLE order_event (position INTEGER PRIMARY KEY, recorded TEXT, source TEXT, id TEXT, type TEXT, subject TEXT, time TEXT,
		event_id TEXT, shop TEXT, kind TEXT, user_id TEXT, placed TEXT, amount INTEGER, weight REAL, note TEXT, tags TEXT, total TEXT, UNIQUE (source, id))`)
	if err != nil {
		return nil, err
	}
	tx, err := plain.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO order_event VALUES ("+strings.Repeat("?, ", 16)+"?)")
	if err != nil {
		return nil, err
	}
	defer insert.Close()
	const batch = 1000
	for begin := 0; begin < events; begin += batch {
		var appended []eventlog.Event
		for i := begin; i < min(begin+batch, events); i++ {
			order := newOrder(i)
			event, err := order.event(kind)
			if err != nil {
				return nil, err
			}
			appended = append(appended, event)
			if _, err := insert.ExecContext(ctx, order.row(i)...); err != nil {
				return nil, err
			}
		}
		if _, err := log.Append(ctx, appended...); err != nil {
			return nil, err
		}
	}
	return plain, tx.Commit()
}

func orderEvent(ctx context.Context) (protoreflect.MessageDescriptor, error) {
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"orders.proto": orders}),
	})}
	files, err := compiler.Compile(ctx, "orders.proto")
	if err != nil {
		return nil, err
	}
	return files[0].Messages().ByName("OrderEvent"), nil
}

// order is an event of a shop.
type order struct {
	id, user, placed string
	at               time.Time
	amount           int64
}

const note = "leave it with the neighbour, the bell is broken since May"

func newOrder(i int) order {
	at := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 5 * time.Second)
	return order{fmt.Sprintf("0190f3a2-7b1c-7d3e-9a4b-%012d", i), fmt.Sprint("customer-", i%1000), at.Format("2006-01-02T15:04:05.000000000Z"), at, int64(i % 10007)}
}

func (o order) event(kind protoreflect.MessageDescriptor) (eventlog.Event, error) {
	message := dynamicpb.NewMessage(kind)
	set := func(name protoreflect.Name, value any) {
		message.Set(kind.Fields().ByName(name), protoreflect.ValueOf(value))
	}
	set("event_id", o.id)
	set("shop", "shop")
	set("kind", "order.placed")
	set("user_id", o.user)
	set("amount", o.amount)
	set("weight", 1.5)
	set("note", note)
	placed := message.Mutable(kind.Fields().ByName("placed")).Message()
	placed.Set(placed.Descriptor().Fields().ByName("seconds"), protoreflect.ValueOf(o.at.Unix()))
	total := message.Mutable(kind.Fields().ByName("total")).Message()
	total.Set(total.Descriptor().Fields().ByName("currency"), protoreflect.ValueOf("EUR"))
	total.Set(total.Descriptor().Fields().ByName("cents"), protoreflect.ValueOf(o.amount))
	tags := message.Mutable(kind.Fields().ByName("tags")).List()
	tags.Append(protoreflect.ValueOf("new"))
	tags.Append(protoreflect.ValueOf("gift"))
	data, err := proto.Marshal(message)
	return eventlog.Event{ID: o.id, Source: "shop", Type: "order.placed", Subject: o.user, Time: o.at, Schema: string(kind.FullName()),
		Version: eventlog.SchemaOf(kind).Version, Data: data}, err
}

func (o order) row(i int) []any {
	return []any{i + 1, o.placed, "shop", o.id, "order.placed", o.user, o.placed, o.id, "shop", "order.placed", o.user, o.placed, o.amount, 1.5, note,
		`["new","gift"]`, fmt.Sprintf(`{"currency":"EUR","cents":%d}`, o.amount)}
}

// compare prints what the queries take on the log and on the plain table.
func compare(ctx context.Context, log eventlog.Log, plain *sql.DB, events int) error {
	db, err := query.Open(ctx, log, query.Range{}, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	fmt.Printf("%d events, %d cores, time of the processor, the best of three.\n\n", events, runtime.GOMAXPROCS(0))
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "events sql\tplain columns\t×\tmemory\tquery\t")
	for _, text := range queries {
		ours, memory, err := measure(ctx, text, db.Query)
		if err != nil {
			return err
		}
		theirs, _, err := measure(ctx, text, func(ctx context.Context, query string) (*sql.Rows, error) { return plain.QueryContext(ctx, query) })
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%v\t%v\t%.1f\t%+d MB\t%s\t\n", ours.Round(time.Millisecond), theirs.Round(time.Millisecond), float64(ours)/float64(theirs), memory>>20, text)
	}
	return table.Flush()
}

// measure returns how much time of the processor a query takes at least, and how much memory the process has
// more than before, at most.
func measure(ctx context.Context, text string, ask func(context.Context, string) (*sql.Rows, error)) (best time.Duration, memory int, err error) {
	best = time.Hour
	before := resident()
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
				memory = max(memory, resident()-before)
			}
		}
	})
	for range 3 {
		begin := processorTime()
		if err = drain(ctx, text, ask); err != nil {
			break
		}
		best = min(best, processorTime()-begin)
	}
	close(done)
	watch.Wait()
	return best, memory, err
}

// processorTime returns how much the process has had, which does not depend on what else runs.
func processorTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func drain(ctx context.Context, text string, ask func(context.Context, string) (*sql.Rows, error)) error {
	rows, err := ask(ctx, text)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

// resident returns how many bytes of the process are in memory; 0 where that is not known.
func resident() (bytes int) {
	text, _ := os.ReadFile("/proc/self/statm")
	var total, pages int
	_, _ = fmt.Sscan(string(text), &total, &pages)
	return pages * os.Getpagesize()
}
