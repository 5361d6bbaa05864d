package eventlogtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// mustHold takes the lease of a consumer, once it is free.
func mustHold(t testing.TB, log eventlog.Log, consumer string) eventlog.Hold {
	t.Helper()
	for ctx := within(t); ; time.Sleep(20 * time.Millisecond) {
		hold, err := log.Hold(ctx, consumer)
		if err == nil {
			return hold
		}
		if !errors.Is(err, eventlog.ErrHeld) || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func checkPosition(t testing.TB, hold eventlog.Hold, want eventlog.Position, wantOK bool) {
	t.Helper()
	if position, ok := hold.Position(); position != want || ok != wantOK {
		t.Errorf("the position is %d (%v), want %d (%v)", position, ok, want, wantOK)
	}
	if reason := hold.Restarted(); reason != "" {
		t.Errorf("it begins again: %s", reason)
	}
}

// checkLost checks that a lease is lost, and that its context says so.
func checkLost(t testing.TB, hold eventlog.Hold, want ...error) {
	t.Helper()
	select {
	case <-hold.Lost().Done():
	case <-within(t).Done():
		t.Fatal("the context of a lost lease does not end")
	}
	cause := context.Cause(hold.Lost())
	if !slices.ContainsFunc(want, func(err error) bool { return errors.Is(cause, err) }) {
		t.Errorf("the lease was lost because of %v, want one of %v", cause, want)
	}
}

func (e Engine) holds(t *testing.T) {
	t.Run("one process has the lease", func(t *testing.T) {
		one, another := e.shared(t)
		hold := mustHold(t, one, "mailer")
		for _, log := range []eventlog.Log{one, another} {
			if _, err := log.Hold(within(t), "mailer"); !errors.Is(err, eventlog.ErrHeld) || status.Code(err) != codes.FailedPrecondition {
				t.Errorf("got %v, want that it is held", err)
			}
		}
		must(t, mustHold(t, another, "biller").Release())
		if err := hold.Lost().Err(); err != nil {
			t.Errorf("the lease is held, and its context has ended: %v", err)
		}
		must(t, hold.Release())
		checkLost(t, hold, eventlog.ErrHeld)
		must(t, hold.Release())
		if err := hold.Commit(within(t), 1); !errors.Is(err, eventlog.ErrHeld) {
			t.Errorf("after the release: got %v, want that the lease is not held", err)
		}
		hold = mustHold(t, another, "mailer")
		closeLog(t, another) // releases it
		checkLost(t, hold, eventlog.ErrClosed)
		if err := hold.Commit(within(t), 1); !errors.Is(err, eventlog.ErrClosed) {
			t.Errorf("after the log was closed: got %v, want that it is closed", err)
		}
		must(t, mustHold(t, one, "mailer").Release())
	})
	t.Run("names", func(t *testing.T) {
		log := e.empty(t)
		for _, name := range []string{"a", "A", "a/b", "../a", "größe ✓", "a b.*>", "a%2fb"} {
			hold := mustHold(t, log, name)
			checkPosition(t, hold, 0, false)
			must(t, hold.Commit(within(t), 1))
			must(t, hold.Release())
		}
		for _, name := range []string{"", "a\x00b", "a\xff", string(make([]byte, 1025))} {
			if _, err := log.Hold(within(t), name); !errors.Is(err, eventlog.ErrInvalid) {
				t.Errorf("%q: got %v, want that it is not valid", name, err)
			}
		}
	})
	t.Run("the position is kept", func(t *testing.T) {
		url := e.URL(t)
		log := open(t, url)
		receipts := mustAppend(t, log, events("", 10)...)
		hold := mustHold(t, log, "mailer")
		checkPosition(t, hold, 0, false)
		for _, i := range []int{3, 7, 5} { // back, too
			must(t, hold.Commit(within(t), receipts[i].Position))
			checkPosition(t, hold, receipts[i].Position, true)
		}
		other := mustHold(t, log, "biller")
		checkPosition(t, other, 0, false)
		must(t, other.Commit(within(t), 0))
		must(t, hold.Release())
		closeLog(t, log)
		log = open(t, url)
		checkPosition(t, mustHold(t, log, "mailer"), receipts[5].Position, true)
		checkPosition(t, mustHold(t, log, "biller"), 0, true)
	})
	t.Run("a lease that was lost", func(t *testing.T) {
		if e.Steal == nil {
			t.Skip("no lease can be lost")
		}
		url := e.URL(t)
		log := open(t, url)
		mustAppend(t, log, events("", 3)...)
		hold := mustHold(t, log, "mailer")
		must(t, hold.Commit(within(t), 1))
		e.Steal(t, url, "mailer")
		for _, err := range []error{
			hold.Commit(within(t), 2),
			hold.PutDead(within(t), eventlog.DeadLetter{Record: mustRead(t, log, eventlog.From{})[0], Tries: 1, GaveUp: time.Now()}),
			hold.RemoveDead(within(t), 1),
		} {
			if !errors.Is(err, eventlog.ErrHeld) {
				t.Errorf("got %v, want that another has it", err)
			}
		}
		checkLost(t, hold, eventlog.ErrHeld)
	})
	t.Run("reading goes on after a position", func(t *testing.T) {
		log, another := e.shared(t)
		receipts := mustAppend(t, log, events("", 10)...)
		hold := mustHold(t, log, "mailer")
		for _, log := range []eventlog.Log{log, another} {
			if got := idsOf(mustRead(t, log, hold.From(0))); len(got) != 10 {
				t.Errorf("read %v from the beginning, want all ten", got)
			}
			if got := idsOf(mustRead(t, log, hold.From(receipts[6].Position))); !slices.Equal(got, []string{"7", "8", "9"}) {
				t.Errorf("read %v, want [7 8 9]", got)
			}
			if got := idsOf(mustRead(t, log, hold.From(receipts[9].Position))); len(got) != 0 {
				t.Errorf("read %v after the last", got)
			}
			got, err := follow(log.Tail(within(t), hold.From(receipts[7].Position)), func(record eventlog.Record) bool { return record.ID != "9" })
			if err != nil || !slices.Equal(got, []string{"8", "9"}) {
				t.Errorf("followed %v, %v; want [8 9]", got, err)
			}
		}
	})
}

// storesFailures tests that it can be asked what a consumer fails at, by whom it is
// not running.
func (e Engine) storesFailures(t *testing.T) {
	url := e.URL(t)
	log, another := open(t, url), open(t, url)
	receipts := mustAppend(t, log, events("", 3)...)
	hold := mustHold(t, log, "mailer")
	check := func(log eventlog.Log, want eventlog.Failure) {
		t.Helper()
		stats := mustStats(t, log)
		if len(stats.Consumers) != 1 || stats.Consumers[0].Failure != want {
			t.Errorf("the consumers are %+v, want one that fails at %+v", stats.Consumers, want)
		}
	}
	failure := eventlog.Failure{Position: receipts[1].Position, Source: "größe", ID: "1", Tries: 3, Reason: "no route",
		Since: time.Date(2026, 1, 2, 3, 4, 5, 6789, time.UTC)}
	check(another, eventlog.Failure{})
	must(t, hold.SetFailure(within(t), failure))
	check(another, failure)
	must(t, hold.Commit(within(t), receipts[0].Position)) // which changes nothing about it
	failure.Tries, failure.Reason = 4, "no \"route\"\n"
	must(t, hold.SetFailure(within(t), failure))
	check(another, failure)
	long := failure
	long.Reason = strings.Repeat("ü", 1000) + "\xff\x00"
	must(t, hold.SetFailure(within(t), long))
	long.Reason = strings.Repeat("ü", 512)
	check(another, long)
	must(t, hold.Release())
	if err := hold.SetFailure(within(t), failure); !errors.Is(err, eventlog.ErrHeld) {
		t.Errorf("after the release: got %v, want that the lease is not held", err)
	}
	closeLog(t, log)
	closeLog(t, another)
	log = open(t, url)
	check(log, long)
	hold = mustHold(t, log, "mailer")
	check(log, long)
	must(t, hold.SetFailure(within(t), eventlog.Failure{}))
	check(log, eventlog.Failure{})
}

// storesKeepers tests that the log shows what has the position of a consumer, until the
// consumer is one of the log again. An engine need not store it.
func (e Engine) storesKeepers(t *testing.T) {
	url := e.URL(t)
	log, another := open(t, url), open(t, url)
	mustAppend(t, log, events("", 3)...)
	hold, ok := mustHold(t, log, "biller").(eventlog.KeeperHold)
	if !ok {
		t.Skip("this log does not store what has a position")
	}
	check := func(log eventlog.Log, hold eventlog.KeeperHold, want string) {
		t.Helper()
		stats := mustStats(t, log)
		if len(stats.Consumers) != 1 || stats.Consumers[0].Keeper != want || hold.Keeper() != want {
			t.Errorf("the consumers are %+v, and the lease says %q; want %q", stats.Consumers, hold.Keeper(), want)
		}
	}
	check(another, hold, "")
	must(t, hold.SetKeeper(within(t), "PostgreSQL"))
	check(another, hold, "PostgreSQL")
	must(t, hold.Commit(within(t), 2)) // which changes nothing about it
	check(another, hold, "PostgreSQL")
	must(t, hold.Release())
	if err := hold.SetKeeper(within(t), ""); !errors.Is(err, eventlog.ErrHeld) {
		t.Errorf("after the release: got %v, want that the lease is not held", err)
	}
	closeLog(t, log)
	closeLog(t, another)
	log = open(t, url)
	again := mustHold(t, log, "biller").(eventlog.KeeperHold)
	check(log, again, "PostgreSQL")
	must(t, again.Release())
	var handled seen
	consumer := consume(t, func(ctx context.Context) error {
		return eventlog.Consume(ctx, log, "biller", handled.handle, fast()...)
	})
	eventually(t, "the rest is handled", func() bool { return len(handled.all()) == 1 })
	consumer.stop(t)
	check(log, mustHold(t, log, "biller").(eventlog.KeeperHold), "")
}

// deletesConsumers tests that nothing is left of a consumer, and that one of its
// name is new.
func (e Engine) deletesConsumers(t *testing.T) {
	url := e.URL(t)
	log, another := open(t, url), open(t, url)
	mustAppend(t, log, events("", 3)...)
	records := mustRead(t, log, eventlog.From{})
	for _, name := range []string{"mailer", "biller"} {
		hold := mustHold(t, log, name)
		must(t, hold.Commit(within(t), records[1].Position))
		must(t, hold.SetFailure(within(t), eventlog.Failure{Position: records[2].Position, Tries: 1}))
		must(t, hold.PutDead(within(t), eventlog.DeadLetter{Record: records[0], Tries: 1, GaveUp: time.Now()}))
		must(t, hold.Release())
	}
	if _, err := log.Retry(within(t), "mailer"); err != nil {
		t.Fatal(err)
	}
	hold := mustHold(t, another, "mailer")
	must(t, hold.Delete(within(t)))
	checkLost(t, hold, eventlog.ErrHeld)
	for _, err := range []error{hold.Commit(within(t), 1), hold.Delete(within(t))} {
		if !errors.Is(err, eventlog.ErrHeld) {
			t.Errorf("after it was deleted: got %v, want that the lease is not held", err)
		}
	}
	must(t, hold.Release())
	for _, log := range []eventlog.Log{log, another} {
		stats := mustStats(t, log)
		if len(stats.Consumers) != 1 || stats.Consumers[0].Name != "biller" || stats.Consumers[0].Dead != 1 {
			t.Errorf("the consumers are %+v, want only biller", stats.Consumers)
		}
		if got := letters(t, log, ""); len(got) != 1 || got[0].Consumer != "biller" {
			t.Errorf("the dead letters are %+v, want that of biller", got)
		}
	}
	hold = mustHold(t, log, "mailer")
	checkPosition(t, hold, 0, false)
	if retries, err := hold.Retries(within(t)); err != nil || len(retries) != 0 {
		t.Errorf("a new one has to retry %v, %v", retries, err)
	}
	must(t, hold.Commit(within(t), records[0].Position))
	must(t, hold.Release())
	closeLog(t, log)
	closeLog(t, another)
	checkPosition(t, mustHold(t, open(t, url), "mailer"), records[0].Position, true)
}

// noticesThatItIsReplaced tests that positions are not taken for those of other
// events.
func (e Engine) noticesThatItIsReplaced(t *testing.T) {
	if e.Replace == nil {
		t.Skip("its events can't be replaced")
	}
	url := e.URL(t)
	log := open(t, url)
	receipts := mustAppend(t, log, events("old", 5)...)
	hold := mustHold(t, log, "mailer")
	must(t, hold.Commit(within(t), receipts[2].Position))
	before := hold.From(receipts[2].Position)
	must(t, hold.Release())
	closeLog(t, log)
	e.Replace(t, url)
	log = open(t, url)
	mustAppend(t, log, events("new", 5)...)
	hold = mustHold(t, log, "mailer")
	if position, ok := hold.Position(); position != 0 || !ok || hold.Restarted() == "" {
		t.Errorf("the position is %d (%v), and it begins again because of %q; want 0, and a reason", position, ok, hold.Restarted())
	}
	if got := idsOf(mustRead(t, log, hold.From(0))); !slices.Equal(got, idsOf(mustRead(t, log, eventlog.From{}))) {
		t.Errorf("read %v from its beginning", got)
	}
	for name, records := range map[string]iter.Seq2[eventlog.Record, error]{
		"Read": log.Read(within(t), before), "Tail": log.Tail(within(t), before),
	} {
		if got, err := follow(records, func(eventlog.Record) bool { return true }); len(got) > 0 || !errors.Is(err, eventlog.ErrReplaced) {
			t.Errorf("%s after a position of former events: %v, %v; want that they were replaced", name, got, err)
		}
	}
}

// letters returns the dead letters of a consumer.
func letters(t testing.TB, log eventlog.Log, consumer string) (letters []eventlog.DeadLetter) {
	t.Helper()
	for letter, err := range log.Dead(within(t), consumer) {
		if err != nil {
			t.Fatal(err)
		}
		letters = append(letters, letter)
	}
	return letters
}

func positions(letters []eventlog.DeadLetter) (positions []eventlog.Position) {
	for _, letter := range letters {
		positions = append(positions, letter.Position)
	}
	return positions
}

func (e Engine) keepsDeadLetters(t *testing.T) {
	url := e.URL(t)
	log := open(t, url)
	sent := events("", 10)
	sent[2].Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	mustAppend(t, log, sent...)
	records := mustRead(t, log, eventlog.From{})
	hold := mustHold(t, log, "mailer")
	put := func(hold eventlog.Hold, record eventlog.Record, reason string) {
		t.Helper()
		must(t, hold.PutDead(within(t), eventlog.DeadLetter{Record: record, Tries: 5, Reason: reason, GaveUp: time.Now()}))
	}
	for _, i := range []int{7, 2, 4} {
		put(hold, records[i], "no route\nto "+records[i].ID)
	}
	biller := mustHold(t, log, "biller")
	put(biller, records[2], "")
	must(t, biller.Release())

	check := func(log eventlog.Log, consumer string, want ...int) {
		t.Helper()
		var expected []eventlog.Position
		for _, i := range want {
			expected = append(expected, records[i].Position)
		}
		if got := positions(letters(t, log, consumer)); !slices.Equal(got, expected) {
			t.Errorf("the dead letters of %q are at %v, want %v", consumer, got, expected)
		}
	}
	checkRetries := func(want ...int) {
		t.Helper()
		retries, err := hold.Retries(within(t))
		must(t, err)
		var got []int
		for _, letter := range retries {
			got = append(got, slices.IndexFunc(records, func(r eventlog.Record) bool { return r.Position == letter.Position }))
			if !letter.Retrying {
				t.Errorf("retry %+v", letter)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("retries %v, want %v", got, want)
		}
	}

	t.Run("they are kept", func(t *testing.T) {
		check(log, "mailer", 2, 4, 7)
		check(log, "biller", 2)
		check(log, "nobody")
		if got := len(letters(t, log, "")); got != 4 {
			t.Errorf("%d of all consumers, want 4", got)
		}
		check(open(t, url), "mailer", 2, 4, 7)
		letter := letters(t, log, "mailer")[0]
		checkEvent(t, letter.Event, records[2].Event)
		if letter.Consumer != "mailer" || letter.Tries != 5 || letter.Reason != "no route\nto 2" || letter.Retrying ||
			!letter.Recorded.Equal(records[2].Recorded) || time.Since(letter.GaveUp) > time.Minute || letter.GaveUp.Location() != time.UTC {
			t.Errorf("the letter is %+v", letter)
		}
	})
	t.Run("who reads may stop", func(t *testing.T) {
		for _, err := range log.Dead(within(t), "mailer") {
			if err != nil {
				t.Error(err)
			}
			break
		}
	})
	t.Run("a new account replaces the old", func(t *testing.T) {
		put(hold, records[2], "another reason")
		check(log, "mailer", 2, 4, 7)
		if got := letters(t, log, "mailer")[0].Reason; got != "another reason" {
			t.Errorf("the reason is %q", got)
		}
	})
	t.Run("reasons are cut", func(t *testing.T) {
		put(hold, records[2], strings.Repeat("ü", 1000)+"end")
		if got := letters(t, log, "mailer")[0].Reason; got != strings.Repeat("ü", 512) {
			t.Errorf("the reason has %d bytes, want 1024", len(got))
		}
		put(hold, records[2], "not\xff UTF\x00-8")
		if got := letters(t, log, "mailer")[0].Reason; got != "not UTF-8" {
			t.Errorf("the reason is %q", got)
		}
		put(hold, records[2], "another reason")
	})
	t.Run("a retry names its consumer", func(t *testing.T) {
		for _, name := range []string{"", "a\x00b"} {
			if n, err := log.Retry(within(t), name); n != 0 || !errors.Is(err, eventlog.ErrInvalid) {
				t.Errorf("%q: %d letters, %v; want that the name is not valid", name, n, err)
			}
		}
	})
	t.Run("retry, by another process", func(t *testing.T) {
		checkRetries()
		another := open(t, url)
		retry := func(want int, consumer string, positions ...eventlog.Position) {
			t.Helper()
			if n, err := another.Retry(within(t), consumer, positions...); err != nil || n != want {
				t.Errorf("%d letters, %v; want %d", n, err, want)
			}
		}
		retry(0, "nobody")
		retry(0, "mailer", records[0].Position)
		retry(2, "mailer", records[2].Position, records[4].Position, records[5].Position)
		checkRetries(2, 4)
		retry(3, "mailer")
		checkRetries(2, 4, 7)
		check(log, "mailer", 2, 4, 7) // until they are handled
		must(t, hold.RemoveDead(within(t), records[4].Position))
		must(t, hold.RemoveDead(within(t), records[4].Position)) // again
		put(hold, records[7], "it failed again")
		checkRetries(2)
		check(log, "mailer", 2, 7)
		check(log, "biller", 2)
	})
	t.Run("retry, of a new account", func(t *testing.T) {
		for _, reason := range []string{"it failed again", "and again"} {
			put(hold, records[7], reason)
			if _, err := log.Retry(within(t), "mailer", records[7].Position); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				retries, err := hold.Retries(within(t))
				must(t, err)
				i := slices.IndexFunc(retries, func(l eventlog.DeadLetter) bool { return l.Position == records[7].Position })
				if i < 0 || retries[i].Reason != reason || string(retries[i].Data) != string(records[7].Data) {
					t.Errorf("retries %+v, want one that says %q", retries, reason)
				}
			}
		}
		put(hold, records[7], "it failed at last")
		checkRetries(2)
	})
	t.Run("discarded, by another process", func(t *testing.T) {
		another := open(t, url)
		before := positions(letters(t, log, "mailer"))
		for _, i := range []int{0, 5, 6} {
			put(hold, records[i], "to be discarded")
		}
		for _, name := range []string{"", "a\x00b"} {
			if n, err := another.Discard(within(t), name); n != 0 || !errors.Is(err, eventlog.ErrInvalid) {
				t.Errorf("%q: %d letters, %v; want that the name is not valid", name, n, err)
			}
		}
		discard := func(want int, consumer string, positions ...eventlog.Position) {
			t.Helper()
			if n, err := another.Discard(within(t), consumer, positions...); err != nil || n != want {
				t.Errorf("%d letters, %v; want %d", n, err, want)
			}
		}
		discard(0, "nobody")
		discard(0, "mailer", records[9].Position)
		if _, err := another.Retry(within(t), "mailer", records[6].Position); err != nil {
			t.Fatal(err)
		}
		discard(3, "mailer", records[0].Position, records[5].Position, records[6].Position, records[9].Position)
		if got := positions(letters(t, log, "mailer")); !slices.Equal(got, before) {
			t.Errorf("the dead letters are at %v, want %v", got, before)
		}
		checkRetries(2) // and not 6
		check(log, "biller", 2)
		biller := mustHold(t, log, "biller")
		put(biller, records[3], "")
		must(t, biller.Release())
		discard(2, "biller")
		check(log, "biller")
		if got := positions(letters(t, log, "mailer")); !slices.Equal(got, before) {
			t.Errorf("the dead letters of another are at %v, want %v", got, before)
		}
	})
	t.Run("retries are not too many bytes at once", func(t *testing.T) {
		log := e.empty(t)
		for i := range 4 {
			large := event(fmt.Sprint(i))
			large.Data = make([]byte, 30<<20)
			if _, err := log.Append(within(t), large); errors.Is(err, eventlog.ErrInvalid) {
				t.Skip("it takes no events of this size")
			} else if err != nil {
				t.Fatal(err)
			}
		}
		hold := mustHold(t, log, "mailer")
		for record, err := range log.Read(within(t), eventlog.From{}) {
			must(t, err)
			put(hold, record, "too large")
		}
		if n, err := log.Retry(within(t), "mailer"); n != 4 || err != nil {
			t.Fatalf("%d letters, %v", n, err)
		}
		retries, err := hold.Retries(within(t))
		if must(t, err); len(retries) == 0 || len(retries) > 3 {
			t.Errorf("%d letters of 30 MiB, want at least one, and not all four", len(retries))
		}
	})
	t.Run("after closing", func(t *testing.T) {
		closeLog(t, log)
		log = open(t, url)
		hold = mustHold(t, log, "mailer")
		check(log, "mailer", 2, 7)
		checkRetries(2)
	})
}
