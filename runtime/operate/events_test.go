package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
)

// openLog opens a log, as a running server does, and returns it and its URL.
func openLog(t *testing.T) (eventlog.Log, string) {
	t.Helper()
	url := "sqlite:" + filepath.Join(t.TempDir(), "events.db")
	log, err := eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log, url
}

// known returns an event whose message type this program knows.
func known(t *testing.T, id string) eventlog.Event {
	t.Helper()
	data, err := proto.Marshal(durationpb.New(90 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return eventlog.Event{ID: id, Source: "shop", Type: "order.placed", Subject: "jerry", Schema: "google.protobuf.Duration", Data: data}
}

func mustAppend(t *testing.T, log eventlog.Log, events ...eventlog.Event) []eventlog.Receipt {
	t.Helper()
	receipts, err := log.Append(t.Context(), events...)
	if err != nil {
		t.Fatal(err)
	}
	return receipts
}

// run runs a subcommand on the log that the environment names.
func run(t *testing.T, url string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Events(t.Context(), "shop-server", args, func(name string) string {
		if name == "SHOP_SERVER_EVENTS" {
			return url
		}
		return ""
	}, &out)
	return out.String(), err
}

// lines returns the objects that a subcommand prints.
func lines(t *testing.T, url string, args ...string) (lines []map[string]any) {
	t.Helper()
	out, err := run(t, url, args...)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		lines = append(lines, object)
	}
	return lines
}

func TestReplayPrintsEventsBesideTheServer(t *testing.T) {
	log, url := openLog(t)
	unknown := known(t, "b")
	unknown.Schema = "not.known.Here"
	receipts := mustAppend(t, log, known(t, "a"), unknown)
	all := lines(t, url, "replay")
	if len(all) != 2 || all[0]["id"] != "a" || all[0]["data"] != "90s" || all[0]["position"] != float64(receipts[0].Position) ||
		all[0]["source"] != "shop" || all[0]["type"] != "order.placed" || all[0]["subject"] != "jerry" || all[0]["dataschema"] != "google.protobuf.Duration" {
		t.Errorf("got %v", all)
	}
	if all[1]["data"] != nil || all[1]["data_base64"] != "CFo=" || all[1]["error"] != "this program does not know the type not.known.Here" || all[0]["error"] != nil {
		t.Errorf("an event of an unknown type: %v", all[1])
	}
	for args, want := range map[string]int{
		fmt.Sprintf("--after %d", receipts[0].Position): 1,
		"--since 1h":                        2,
		"--since 2001-01-01T00:00:00Z":      2,
		"--since 2999-01-01T00:00:00+01:00": 0,
	} {
		if got := lines(t, url, append([]string{"replay"}, strings.Fields(args)...)...); len(got) != want {
			t.Errorf("%s: %d events, want %d", args, len(got), want)
		}
	}
}

// TestAnEventThatHasNoJSONIsPrintedRaw: neither it nor text that controls a terminal
// keeps anybody from reading the events after it.
func TestAnEventThatHasNoJSONIsPrintedRaw(t *testing.T) {
	log, url := openLog(t)
	for id, message := range map[string]proto.Message{
		"google.protobuf.Value: none of the oneof fields is set":                                 &structpb.Value{},
		"google.protobuf.Value.number_value: invalid NaN value":                                  structpb.NewNumberValue(math.NaN()),
		`google.protobuf.Any: unable to resolve "type.googleapis.com/other.v1.Thing": not found`: &anypb.Any{TypeUrl: "type.googleapis.com/other.v1.Thing"},
		`google.protobuf.Any: unable to resolve "no slash": not found`:                           &anypb.Any{TypeUrl: "no slash"},
		"google.protobuf.Timestamp: seconds out of range 253402300800":                           &timestamppb.Timestamp{Seconds: 253402300800},
		"string field contains invalid UTF-8":                                                    wrapperspb.Bytes([]byte{0xff}),
	} {
		data, err := proto.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		schema := string(message.ProtoReflect().Descriptor().FullName())
		if schema == "google.protobuf.BytesValue" {
			schema = "google.protobuf.StringValue" // as it is after bytes became string
		}
		mustAppend(t, log, eventlog.Event{ID: id, Type: "odd\u009b\u202e", Schema: schema, Data: data})
	}
	mustAppend(t, log, known(t, "last"))
	all := lines(t, url, "replay")
	if len(all) != 7 || all[6]["data"] != "90s" {
		t.Fatalf("got %v", all)
	}
	for _, line := range all[:6] {
		if reason, _ := line["error"].(string); !strings.Contains(reason, line["id"].(string)) || line["data"] != nil || line["type"] != "odd\u009b\u202e" {
			t.Errorf("got %v", line)
		}
	}
	if out, err := run(t, url, "replay"); err != nil || strings.ContainsAny(out, "\u009b\u202e") {
		t.Errorf("it prints what controls a terminal: %q, %v", out, err)
	}
}

func TestTailPrintsWhatComes(t *testing.T) {
	log, url := openLog(t)
	mustAppend(t, log, known(t, "a"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- Events(ctx, "shop-server", []string{"tail", "--events", url}, func(string) string { return "" }, writer)
	}()
	printed := json.NewDecoder(reader)
	for _, id := range []string{"a", "b", "c"} {
		if id != "a" {
			mustAppend(t, log, known(t, id))
		}
		var line struct{ ID string }
		if err := printed.Decode(&line); err != nil || line.ID != id {
			t.Fatalf("got %q, %v; want %s", line.ID, err, id)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestStatsAndDeadLetters(t *testing.T) {
	log, url := openLog(t)
	if got := lines(t, url, "stats"); len(got) != 1 || got[0]["events"] != 0.0 || got[0]["durability"] != "fsync" || got[0]["oldest"] != nil {
		t.Errorf("of an empty log: %v", got)
	}
	receipts := mustAppend(t, log, known(t, "a"), known(t, "b"), known(t, "c"))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- eventlog.Consume(ctx, log, "mailer", func(context.Context, eventlog.Record) error {
			return eventlog.GiveUp(errors.New("no route"))
		}, eventlog.Logger(slog.New(slog.DiscardHandler)))
	}()
	for deadline := time.Now().Add(20 * time.Second); len(lines(t, url, "dead", "list")) < 3 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}

	stats := lines(t, url, "stats")[0]
	consumer := stats["consumers"].([]any)[0].(map[string]any)
	if stats["events"] != 3.0 || stats["oldest"] == nil || consumer["name"] != "mailer" || consumer["lag"] != 0.0 || consumer["dead"] != 3.0 {
		t.Errorf("got %v", stats)
	}
	letter := lines(t, url, "dead", "list", "--consumer", "mailer")[0]
	if letter["consumer"] != "mailer" || letter["id"] != "a" || letter["data"] != "90s" || letter["tries"] != 1.0 ||
		letter["reason"] != "no route" || letter["retrying"] != false {
		t.Errorf("got %v", letter)
	}
	if got := lines(t, url, "dead", "list", "--consumer", "biller"); len(got) != 0 {
		t.Errorf("of another consumer: %v", got)
	}
	position := func(i int) string { return fmt.Sprint(receipts[i].Position) }
	if got := lines(t, url, "dead", "retry", "--consumer", "mailer", "--position", position(0), "--position", position(2)); got[0]["retrying"] != 2.0 {
		t.Errorf("got %v", got)
	}
	for i, want := range []bool{true, false, true} {
		if got := lines(t, url, "dead", "list")[i]["retrying"]; got != want {
			t.Errorf("letter %d is retried: %v, want %v", i, got, want)
		}
	}
	if got := lines(t, url, "dead", "retry", "--consumer", "mailer"); got[0]["retrying"] != 3.0 {
		t.Errorf("got %v", got)
	}
}

func TestHelp(t *testing.T) {
	for args, want := range map[string]string{
		"--help":            "dead retry  Makes a consumer",
		"replay --help":     "Usage: shop-server events replay [flags]",
		"tail --help":       "-since time",
		"stats --help":      "-events URL",
		"dead list --help":  "-consumer consumer",
		"dead retry --help": "-position position",
	} {
		out, err := run(t, "", strings.Fields(args)...)
		if !errors.Is(err, flag.ErrHelp) || !strings.Contains(out, want) {
			t.Errorf("%s: %v, want help with %q:\n%s", args, err, want, out)
		}
	}
}

func TestMistakesAreReported(t *testing.T) {
	_, url := openLog(t)
	for args, want := range map[string]string{
		"":                            "want shop-server events replay|tail|stats|dead list|dead retry",
		"dead":                        "want shop-server events replay|",
		"replay all":                  `unexpected argument "all"`,
		"replay --until 1":            "see shop-server events replay --help",
		"replay --since yesterday":    `--since "yesterday": want a time such as`,
		"tail --since 1h --after 3":   "exclude each other",
		"dead retry":                  "--consumer is missing",
		"dead retry --position first": "want a number",
		"dead retry --consumer mailer --events sqlite:/no/such/events.db": "there is no event log here",
	} {
		if _, err := run(t, url, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", args, err, want)
		}
	}
}
