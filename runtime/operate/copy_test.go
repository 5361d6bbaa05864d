package operate

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// imported stores events of another log, at positions of their own.
func imported(t *testing.T, log eventlog.Log, after eventlog.Position, records ...eventlog.Record) {
	t.Helper()
	if _, err := log.(eventlog.ImportLog).Import(t.Context(), after, records); err != nil {
		t.Fatal(err)
	}
}

// recorded returns events as a log has them, from a position on.
func recorded(t *testing.T, first eventlog.Position, ids ...string) (records []eventlog.Record) {
	for i, id := range ids {
		event := known(t, id)
		position := first + eventlog.Position(i)
		event.Time = time.Unix(int64(position), 7)
		records = append(records, eventlog.Record{Event: event, Position: position, Recorded: event.Time})
	}
	return records
}

func mustStats(t *testing.T, log eventlog.Log) eventlog.Stats {
	t.Helper()
	stats, err := log.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return stats
}

// TestPositionsOfConsumersAreThoseOfTheCopy copies a log that no longer has its first
// events into one that numbers events from 1 on.
func TestPositionsOfConsumersAreThoseOfTheCopy(t *testing.T) {
	log, url := openLog(t)
	imported(t, log, 0, recorded(t, 11, "a", "b", "c")...)
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		t.Fatal(err)
	}
	if err := hold.Commit(t.Context(), 12); err != nil {
		t.Fatal(err)
	}
	if err := hold.(eventlog.KeeperHold).SetKeeper(t.Context(), "MySQL"); err != nil {
		t.Fatal(err)
	}
	letter := eventlog.DeadLetter{Record: recorded(t, 11, "a")[0], Tries: 2, Reason: "no", GaveUp: time.Now()}
	if err := hold.PutDead(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	to := "memory:" + t.Name()
	copied := lines(t, url, "copy", "--to", to)[0]
	if copied["copied"] != 3.0 || copied["events"] != 3.0 || copied["first"] != 11.0 || copied["last"] != 13.0 || copied["dead"] != 1.0 ||
		fmt.Sprint(copied["positions"]) != "[map[from:11 moved:-10]]" {
		t.Errorf("copy printed %v", copied)
	}
	target, err := eventlog.Open(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	if consumers := mustStats(t, target).Consumers; len(consumers) != 1 || consumers[0].Position != 2 || consumers[0].Lag != 1 || consumers[0].Keeper != "MySQL" {
		t.Errorf("the consumers are %+v", consumers)
	}
	if dead := lines(t, to, "dead", "list"); len(dead) != 1 || dead[0]["position"] != 1.0 {
		t.Errorf("the dead letters are %v", dead)
	}
	if err := hold.RemoveDead(t.Context(), 11); err != nil { // it was handled
		t.Fatal(err)
	}
	if err := hold.Commit(t.Context(), 13); err != nil {
		t.Fatal(err)
	}
	imported(t, log, 13, recorded(t, 14, "d")...)
	if again := lines(t, url, "copy", "--to", to)[0]; again["copied"] != 1.0 || again["events"] != 4.0 || again["dead"] != 0.0 {
		t.Errorf("copy printed %v the second time", again)
	}
	if consumers := mustStats(t, target).Consumers; consumers[0].Position != 3 || consumers[0].Dead != 0 {
		t.Errorf("the consumers are %+v the second time", consumers)
	}
	if equal := lines(t, url, "verify", url, to); len(equal) != 3 {
		t.Errorf("verify printed %v", equal)
	}
}

// repeating is a log that has an event twice, as one in NATS may have after its window.
type repeating struct {
	eventlog.Log
	records []eventlog.Record
}

func (r repeating) Read(_ context.Context, from eventlog.From) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for _, record := range r.records {
			if record.Position > from.After && !yield(record, nil) {
				return
			}
		}
	}
}

// TestAnEventThatALogHasTwiceIsCopiedOnce: what comes after it has other positions, and a
// copy that is interrupted after it goes on.
func TestAnEventThatALogHasTwiceIsCopiedOnce(t *testing.T) {
	source, _ := openLog(t)
	target, _ := openLog(t)
	twice := repeating{source, recorded(t, 1, "a", "b", "a", "c")}
	discard := func(any) error { return nil }
	for range 2 {
		line, err := copyLog(t.Context(), twice, target.(eventlog.ImportLog), discard)
		if err != nil || line.Events != 3 || line.Repeated != 1 || !slices.Equal(line.Positions, []relation{{1, 0}, {4, -1}}) {
			t.Errorf("%+v, %v", line, err)
		}
	}
	twice.records[2].Data = []byte("another one")
	if _, err := copyLog(t.Context(), twice, target.(eventlog.ImportLog), discard); err == nil || !strings.Contains(err.Error(), `position 3 (source "shop", id "a")`) {
		t.Errorf("%v, want that another event has the id", err)
	}
	check := comparison{relations: []relation{{1, 0}, {4, -1}}}
	for position, want := range map[eventlog.Position]eventlog.Position{0: 0, 1: 1, 2: 2, 4: 3, 5: 4} {
		if got := check.target(position); got != want {
			t.Errorf("position %d became %d, want %d", position, got, want)
		}
	}
}

func TestACopyIsIntoAnEmptyLogOrItself(t *testing.T) {
	log, url := openLog(t)
	imported(t, log, 0, recorded(t, 1, "a", "b", "c")...)
	changed := recorded(t, 1, "a", "b", "c")
	changed[1].Subject = "else"
	more := recorded(t, 1, "a", "b", "c", "d")
	for name, c := range map[string]struct {
		records []eventlog.Record
		want    string
	}{
		"other events":  {recorded(t, 1, "x", "y"), "copy into an empty log"},
		"another event": {changed, "is another one than its copy at position 2"},
		"more events":   {more, "has an event at position 4"},
		"a later begin": {recorded(t, 2, "b", "c")[:1], "copy into an empty log"},
	} {
		t.Run(name, func(t *testing.T) {
			target, to := openLog(t)
			imported(t, target, 0, c.records...)
			if _, err := run(t, url, "copy", "--to", to); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	dir, file := filepath.Split(strings.TrimPrefix(url, "sqlite:"))
	for args, want := range map[string]string{
		"copy":             "--to is missing",
		"copy --to " + url: "this is the log that is copied: name another one by --to",
		"copy --to sqlite:" + dir + "./" + file + "?max-age=48h": "this is the log that is copied",
		"backup " + dir + "what?.db":                             "can't have a question mark",
		"verify " + dir + "what?.db":                             "can't have a question mark",
		"erase --subject jerry":                                  "give --source and --subject",
		"erase --source shop":                                    "give --source and --subject",
		"copy --from sqlite:no --to x:y":                         "there is no event log here",
	} {
		if _, err := run(t, url, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

// TestASourceThatDeletesIsCopied: the copy keeps what it has of what the source no longer
// keeps.
func TestASourceThatDeletesIsCopied(t *testing.T) {
	log, _ := openLog(t)
	target, _ := openLog(t)
	source := repeating{log, recorded(t, 1, "a", "b", "c")}
	for _, records := range [][]eventlog.Record{source.records, recorded(t, 3, "c", "d")} {
		source.records = records
		line, err := copyLog(t.Context(), source, target.(eventlog.ImportLog), func(any) error { return nil })
		if err != nil || line.Events != int64(len(records)) {
			t.Errorf("%+v, %v", line, err)
		}
	}
	if stats := mustStats(t, target); stats.Events != 4 {
		t.Errorf("the copy has %d events, want 4", stats.Events)
	}
}

// TestErasedEventsAreNowhere: neither in what is printed, nor in the bytes of the file.
func TestErasedEventsAreNowhere(t *testing.T) {
	eventlog.RegisterMessage[*durationpb.Duration]()
	log, url := openLog(t)
	secret := known(t, "a")
	secret.Subject, secret.Data = "jerry@example.org", []byte(strings.Repeat("a secret of some length, ", 400))
	mustAppend(t, log, secret, known(t, "b"))
	if erased := lines(t, url, "erase", "--source", "shop", "--subject", "jerry@example.org"); erased[0]["erased"] != 1.0 {
		t.Errorf("erase printed %v", erased)
	}
	printed := lines(t, url, "replay")
	if len(printed) != 2 || printed[0]["erased"] != true || printed[0]["id"] != "a" || printed[0]["subject"] != nil || printed[1]["erased"] != nil {
		t.Errorf("replay printed %v", printed)
	}
	if records, _ := exported(t, url); len(records) != 1 || records[0].ID != "b" {
		t.Errorf("export wrote %v", records)
	}
	table := filepath.Join(t.TempDir(), "durations.csv")
	if _, err := run(t, url, "export", "--format", "csv", "--message", "duration", "--to", table); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(table); err != nil || strings.Count(string(text), "\n") != 2 || !strings.Contains(string(text), ",b,") {
		t.Errorf("export wrote %s, %v", text, err)
	}
	if stats := lines(t, url, "stats"); stats[0]["erased"] != 1.0 {
		t.Errorf("stats printed %v", stats)
	}
	path := strings.TrimPrefix(url, "sqlite:")
	check := func(name string) {
		content, err := os.ReadFile(name)
		if err != nil || bytes.Contains(content, []byte("jerry@")) || bytes.Contains(content, []byte("a secret of")) {
			t.Errorf("%s still has it, or %v", name, err)
		}
	}
	check(path + "-wal") // while the log is open
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	check(path)
}

// TestRefusedRequestsAreErasedToo, in the log that the server has for them.
func TestRefusedRequestsAreErasedToo(t *testing.T) {
	log, url := openLog(t)
	mustAppend(t, log, known(t, "a"))
	requests, kept := openLog(t)
	var refused []eventlog.Event
	for _, subject := range []string{"jerry", "tom"} {
		stored, err := structpb.NewStruct(map[string]any{"request": base64.StdEncoding.EncodeToString([]byte("\x0a" + string(rune(len(subject))) + subject))})
		if err != nil {
			t.Fatal(err)
		}
		data, err := proto.Marshal(stored)
		if err != nil {
			t.Fatal(err)
		}
		refused = append(refused, eventlog.Event{ID: subject, Source: "shop.v1.Orders/Place", Type: "rejected", Schema: "google.protobuf.Struct", Data: data})
	}
	mustAppend(t, requests, refused...)
	erase := func(kept string) (string, error) {
		var out bytes.Buffer
		err := Events(t.Context(), "shop-server", []string{"erase", "--source", "shop", "--subject", "jerry"}, func(name string) string {
			return map[string]string{"SHOP_SERVER_EVENTS": url, "SHOP_SERVER_KEEP_REJECTED": kept}[name]
		}, &out, Backup)
		return out.String(), err
	}
	if _, err := erase("sqlite:" + t.TempDir() + "/missing.db"); err == nil || !strings.Contains(err.Error(), "nothing is erased: --keep-rejected") {
		t.Errorf("without that log: %v", err)
	}
	if out, err := erase(kept); err != nil || out != `{"erased":1,"dead":0,"refused":1}`+"\n" {
		t.Errorf("erase printed %s, %v", out, err)
	}
	if left := lines(t, kept, "replay"); left[0]["erased"] != true || left[1]["erased"] != nil {
		t.Errorf("the log of refused requests has %v", left)
	}
}
