package eventlogtest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// mustHold takes the place of a consumer, once it is free.
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

func checkPlace(t testing.TB, hold eventlog.Hold, want eventlog.Position, wantKnown bool) {
	t.Helper()
	if place, known := hold.Place(); place != want || known != wantKnown {
		t.Errorf("the place is %d (known: %v), want %d (%v)", place, known, want, wantKnown)
	}
}

func (e Engine) holds(t *testing.T) {
	t.Run("one has the place", func(t *testing.T) {
		one, another := e.shared(t)
		hold := mustHold(t, one, "mailer")
		for _, log := range []eventlog.Log{one, another} {
			if _, err := log.Hold(within(t), "mailer"); !errors.Is(err, eventlog.ErrHeld) || status.Code(err) != codes.FailedPrecondition {
				t.Errorf("got %v, want that it is held", err)
			}
		}
		must(t, mustHold(t, another, "biller").Release())
		must(t, hold.Release())
		must(t, hold.Release())
		if err := hold.Move(within(t), 1); err == nil {
			t.Error("a place that was released can be moved")
		}
		hold = mustHold(t, another, "mailer")
		closeLog(t, another) // releases it
		if err := hold.Move(within(t), 1); err == nil {
			t.Error("the place in a log that was closed can be moved")
		}
		must(t, mustHold(t, one, "mailer").Release())
	})
	t.Run("names", func(t *testing.T) {
		log := e.empty(t)
		for _, name := range []string{"a", "A", "a/b", "../a", "größe ✓", "a b.*>", "a%2fb"} {
			hold := mustHold(t, log, name)
			checkPlace(t, hold, 0, false)
			must(t, hold.Move(within(t), 1))
			must(t, hold.Release())
		}
		for _, name := range []string{"", "a\x00b", "a\xff", string(make([]byte, 1025))} {
			if _, err := log.Hold(within(t), name); !errors.Is(err, eventlog.ErrInvalid) {
				t.Errorf("%q: got %v, want that it is not valid", name, err)
			}
		}
	})
	t.Run("the place is kept", func(t *testing.T) {
		url := e.URL(t)
		log := open(t, url)
		receipts := mustAppend(t, log, events("", 10)...)
		hold := mustHold(t, log, "mailer")
		checkPlace(t, hold, 0, false)
		for _, i := range []int{3, 7, 5} { // back, too
			must(t, hold.Move(within(t), receipts[i].Position))
			checkPlace(t, hold, receipts[i].Position, true)
		}
		other := mustHold(t, log, "biller")
		checkPlace(t, other, 0, false)
		must(t, other.Move(within(t), 0))
		must(t, hold.Release())
		closeLog(t, log)
		log = open(t, url)
		checkPlace(t, mustHold(t, log, "mailer"), receipts[5].Position, true)
		checkPlace(t, mustHold(t, log, "biller"), 0, true)
	})
	t.Run("a place that was lost", func(t *testing.T) {
		if e.Steal == nil {
			t.Skip("no place can be lost")
		}
		url := e.URL(t)
		log := open(t, url)
		mustAppend(t, log, events("", 3)...)
		hold := mustHold(t, log, "mailer")
		must(t, hold.Move(within(t), 1))
		e.Steal(t, url, "mailer")
		for _, err := range []error{
			hold.Move(within(t), 2),
			hold.Bury(within(t), eventlog.DeadLetter{Record: mustRead(t, log, eventlog.From{})[0], Tries: 1, Buried: time.Now()}),
			hold.Revive(within(t), 1),
		} {
			if !errors.Is(err, eventlog.ErrHeld) {
				t.Errorf("got %v, want that another has it", err)
			}
		}
	})
}

// letters are the dead letters of a consumer.
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

func (e Engine) buries(t *testing.T) {
	url := e.URL(t)
	log := open(t, url)
	mustAppend(t, log, events("", 10)...)
	records := mustRead(t, log, eventlog.From{})
	hold := mustHold(t, log, "mailer")
	bury := func(hold eventlog.Hold, record eventlog.Record, reason string) {
		t.Helper()
		must(t, hold.Bury(within(t), eventlog.DeadLetter{Record: record, Tries: 5, Reason: reason, Buried: time.Now()}))
	}
	for _, i := range []int{7, 2, 4} {
		bury(hold, records[i], "no route\nto "+records[i].ID)
	}
	biller := mustHold(t, log, "biller")
	bury(biller, records[2], "")
	must(t, biller.Release())

	check := func(log eventlog.Log, consumer string, want ...int) {
		t.Helper()
		var expected []eventlog.Position
		for _, i := range want {
			expected = append(expected, records[i].Position)
		}
		if got := positions(letters(t, log, consumer)); !slices.Equal(got, expected) {
			t.Errorf("the dead letters of %q stand at %v, want %v", consumer, got, expected)
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
			!letter.Recorded.Equal(records[2].Recorded) || time.Since(letter.Buried) > time.Minute || letter.Buried.Location() != time.UTC {
			t.Errorf("the letter is %+v", letter)
		}
	})
	t.Run("who reads may stop", func(t *testing.T) {
		for range log.Dead(within(t), "mailer") {
			break
		}
	})
	t.Run("a new account replaces the old", func(t *testing.T) {
		bury(hold, records[2], "another reason")
		check(log, "mailer", 2, 4, 7)
		if got := letters(t, log, "mailer")[0].Reason; got != "another reason" {
			t.Errorf("the reason is %q", got)
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
		must(t, hold.Revive(within(t), records[4].Position))
		must(t, hold.Revive(within(t), records[4].Position)) // again
		bury(hold, records[7], "it failed again")
		checkRetries(2)
		check(log, "mailer", 2, 7)
		check(log, "biller", 2)
	})
	t.Run("retry, of a new account", func(t *testing.T) {
		for _, reason := range []string{"it failed again", "and again"} {
			bury(hold, records[7], reason)
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
		bury(hold, records[7], "it failed at last")
		checkRetries(2)
	})
	t.Run("after closing", func(t *testing.T) {
		closeLog(t, log)
		log = open(t, url)
		hold = mustHold(t, log, "mailer")
		check(log, "mailer", 2, 7)
		checkRetries(2)
	})
}
