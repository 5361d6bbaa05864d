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
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
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
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
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
	}, &out, SQL, Backup)
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
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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
	for deadline := time.Now().Add(time.Minute); len(lines(t, url, "dead", "list")) < 3 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}

	stats := lines(t, url, "stats")[0]
	consumer := stats["consumers"].([]any)[0].(map[string]any)
	if stats["events"] != 3.0 || stats["oldest"] == nil || consumer["name"] != "mailer" || consumer["lag"] != 0.0 || consumer["dead"] != 3.0 || consumer["oldest"] != nil {
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

// fail makes a consumer fail at every event until the test ends or stop is called.
func fail(t *testing.T, log eventlog.Log, consumer string, reason error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- eventlog.Consume(ctx, log, consumer, func(context.Context, eventlog.Record) error { return reason },
			eventlog.Backoff(time.Millisecond, time.Millisecond), eventlog.Tries(1_000_000), eventlog.Logger(slog.New(slog.DiscardHandler)))
	}()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestConsumersAreListedMovedAndDeleted(t *testing.T) {
	log, url := openLog(t)
	receipts := mustAppend(t, log, known(t, "a"), known(t, "b"), known(t, "c"))
	stop := fail(t, log, "mailer", errors.New("no route"))
	list := func() map[string]any {
		t.Helper()
		all := lines(t, url, "consumers", "list")
		if len(all) != 1 || all[0]["name"] != "mailer" {
			t.Fatalf("got %v, want the consumer mailer", all)
		}
		return all[0]
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline) && len(lines(t, url, "consumers", "list")) == 0; {
		time.Sleep(5 * time.Millisecond)
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline) && list()["failing"] == nil; {
		time.Sleep(5 * time.Millisecond)
	}
	consumer := list()
	failing, _ := consumer["failing"].(map[string]any)
	if failing["position"] != float64(receipts[0].Position) || failing["id"] != "a" || failing["source"] != "shop" || failing["reason"] != "no route" ||
		failing["tries"] == 0.0 || failing["since"] == nil {
		t.Errorf("it fails at %v, want the event a", failing)
	}
	if got := lines(t, url, "stats")[0]["consumers"].([]any)[0].(map[string]any)["failing"]; got == nil {
		t.Error("stats does not say what it fails at")
	}
	for _, args := range []string{"consumers reset --consumer mailer --end", "consumers delete --consumer mailer"} {
		if _, err := run(t, url, strings.Fields(args)...); !errors.Is(err, eventlog.ErrHeld) || !strings.Contains(err.Error(), "stop the server that runs it first") {
			t.Errorf("%s, while it runs: %v", args, err)
		}
	}
	stop()
	for _, test := range []struct {
		args string
		want eventlog.Position
	}{
		{"--end", receipts[2].Position},
		{"--after 0", 0},
		{fmt.Sprintf("--after %d", receipts[1].Position), receipts[1].Position},
		{"--since 1h", 0},
		{"--since 2999-01-01T00:00:00Z", receipts[2].Position},
	} {
		got := lines(t, url, append([]string{"consumers", "reset", "--consumer", "mailer"}, strings.Fields(test.args)...)...)
		if got[0]["position"] != float64(test.want) || list()["position"] != float64(test.want) || list()["failing"] != nil {
			t.Errorf("%s: %v, and then it is listed as %v; want position %d", test.args, got, list(), test.want)
		}
	}
	lines(t, url, "consumers", "reset", "--consumer", "mailer", "--after", "1")
	second := lines(t, url, "replay")[1]["recordedtime"]
	if got := lines(t, url, "consumers", "list")[0]; got["lag"] != 2.0 || got["oldest"] == nil || got["oldest"] != second {
		t.Errorf("the oldest event that is not handled is of %v, want %v", got["oldest"], second)
	}
	if _, err := run(t, url, "consumers", "reset", "--consumer", "mailer", "--after", "4"); err == nil || !strings.Contains(err.Error(), "its last is 3") {
		t.Errorf("after a position that is not there: %v", err)
	}
	if got := lines(t, url, "consumers", "delete", "--consumer", "mailer"); got[0]["deleted"] != "mailer" {
		t.Errorf("got %v", got)
	}
	if got := lines(t, url, "consumers", "list"); len(got) != 0 {
		t.Errorf("after it was deleted: %v", got)
	}
}

func TestDeadLettersAreDiscarded(t *testing.T) {
	log, url := openLog(t)
	receipts := mustAppend(t, log, known(t, "a"), known(t, "b"), known(t, "c"))
	stop := fail(t, log, "mailer", eventlog.GiveUp(errors.New("no route")))
	for deadline := time.Now().Add(time.Minute); len(lines(t, url, "dead", "list")) < 3 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	if got := lines(t, url, "dead", "discard", "--consumer", "mailer", "--position", fmt.Sprint(receipts[1].Position)); got[0]["discarded"] != 1.0 {
		t.Errorf("got %v", got)
	}
	if got := lines(t, url, "dead", "list"); len(got) != 2 || got[0]["id"] != "a" || got[1]["id"] != "c" {
		t.Errorf("left: %v, want a and c", got)
	}
	if got := lines(t, url, "dead", "discard", "--consumer", "mailer", "--all"); got[0]["discarded"] != 2.0 {
		t.Errorf("got %v", got)
	}
	if got := lines(t, url, "dead", "list"); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

func TestServersHelpNamesIt(t *testing.T) {
	var help bytes.Buffer
	if _, err := server.Parse("shop-server", []string{"--help"}, func(string) string { return "" }, &help); !errors.Is(err, flag.ErrHelp) {
		t.Error(err)
	}
	if !strings.Contains(help.String(), "shop-server events: prints and operates the event log (see shop-server events --help)") {
		t.Errorf("the help of the server is\n%s", &help)
	}
}

func TestHelp(t *testing.T) {
	for args, want := range map[string]string{
		"--help":                  "dead retry       Makes a consumer",
		"replay --help":           "Usage: shop-server events replay [flags]",
		"tail --help":             "-since time",
		"stats --help":            "-events URL",
		"export --help":           "-redact fields",
		"dead list --help":        "-consumer consumer",
		"dead retry --help":       "-position position",
		"dead discard --help":     "-all",
		"consumers list --help":   "Prints the consumers",
		"consumers reset --help":  "-end",
		"consumers delete --help": "-consumer consumer",
	} {
		out, err := run(t, "", strings.Fields(args)...)
		if !errors.Is(err, flag.ErrHelp) || !strings.Contains(out, want) {
			t.Errorf("%s: %v, want help with %q:\n%s", args, err, want, out)
		}
	}
}

// TestTheLogIsThatOfTheServer checks that each way to name the log of the server
// works here, and that what else is in the server's file does not matter.
func TestTheLogIsThatOfTheServer(t *testing.T) {
	log, url := openLog(t)
	mustAppend(t, log, known(t, "a"))
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{"config.yaml": "addr: :50051\nevents: " + url + "\ncounts: c.db\n", "events": url + "\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ args, name, value string }{
		{args: "replay --events " + url},
		{args: "replay --config config.yaml"},
		{args: "replay", name: "SHOP_SERVER_EVENTS", value: url},
		{args: "replay", name: "SHOP_SERVER_EVENTS_FILE", value: "events"},
		{args: "replay", name: "SHOP_SERVER_CONFIG", value: "config.yaml"},
	} {
		var out bytes.Buffer
		err := Events(t.Context(), "shop-server", strings.Fields(test.args), func(name string) string {
			if name == test.name {
				return test.value
			}
			return ""
		}, &out)
		if err != nil || !strings.Contains(out.String(), `"id":"a"`) {
			t.Errorf("%s with %s=%s: %v, and it prints %s", test.args, test.name, test.value, err, &out)
		}
	}
}

func TestMistakesAreReported(t *testing.T) {
	_, url := openLog(t)
	for args, want := range map[string]string{
		"":                            "want shop-server events replay|tail|export|stats|schemas list|schemas export|check|consumers list|consumers reset|consumers delete|dead list|dead retry|dead discard|backup|copy|erase|restore|sql|verify",
		"dead":                        "want shop-server events replay|",
		"replay all":                  `unexpected argument "all"`,
		"replay --until 1":            "unknown flag --until: see shop-server events replay --help",
		"replay --sine 1h":            "unknown flag --sine: did you mean --since?",
		"replay --since yesterday":    `--since "yesterday": want a time such as`,
		"tail --since 1h --after 3":   "exclude each other",
		"dead retry":                  "--consumer is missing",
		"dead retry --position first": "want a number",
		"dead retry --consumer mailer --events sqlite:/no/such/events.db": "there is no event log here",
		"dead discard --consumer mailer":                                  "--position once or several times, or --all",
		"dead discard --consumer mailer --all --position 1":               "--position once or several times, or --all",
		"dead discard --all":                                              "--consumer is missing",
		"dead discard --consumer mailer --all":                            "has no such dead letters",
		"consumers reset --after 0":                                       "--consumer is missing",
		"consumers reset --consumer mailer":                               "one of --after, --since and --end",
		"consumers reset --consumer mailer --after 0 --end":               "one of --after, --since and --end",
		"consumers reset --consumer mailer --after 0":                     `no consumer "mailer"`,
		"consumers delete":                                                "--consumer is missing",
		"consumers delete --consumer mailer":                              `no consumer "mailer"`,
	} {
		if _, err := run(t, url, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", args, err, want)
		}
	}
}

// What a program leaves out is named, with what brings it.
func TestWhatIsLeftOutIsReported(t *testing.T) {
	_, url := openLog(t)
	for commands, args := range map[string][]string{
		"operate.SQL": {"sql", "SELECT 1"}, "operate.Backup": {"verify"},
	} {
		without := SQL
		if commands == "operate.SQL" {
			without = Backup
		}
		events := func(args ...string) (string, error) {
			var out bytes.Buffer
			err := Events(t.Context(), "shop-server", args, func(string) string { return "" }, &out, without)
			return out.String(), err
		}
		_, err := events(append(args, "--events", url)...)
		want := "events " + args[0] + ": this program leaves it out; pass " + commands + " to operate.Events in its main, and generate again"
		if err == nil || err.Error() != want {
			t.Errorf("%v: got %v, want %q", args, err, want)
		}
		help, _ := events("--help")
		if _, after, _ := strings.Cut(help, "This program leaves out "); !strings.Contains(after, args[0]) || !strings.Contains(after, "pass "+commands+" ") || strings.Count(help, "leaves out") != 1 {
			t.Errorf("without %s the help is\n%s", commands, help)
		}
	}
	for commands, names := range leftOut {
		all := map[string]Commands{"operate.SQL": SQL, "operate.Backup": Backup}[commands]
		if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, names) {
			t.Errorf("%s has %v, and %v are named when it is left out", commands, got, names)
		}
	}
}

// An event of a message that was renamed is printed as what it is.
func TestAnEventUnderAFormerNameIsPrinted(t *testing.T) {
	eventlog.RegisterMessage[*durationpb.Duration]("old.Duration")
	log, url := openLog(t)
	event := known(t, "a")
	event.Schema = "old.Duration"
	mustAppend(t, log, event)
	if got := lines(t, url, "replay")[0]; got["data"] != "90s" || got["dataschema"] != "old.Duration" {
		t.Errorf("printed %v, want the data as 90s, under the name that it was stored with", got)
	}
}
