package operate

import (
	"errors"
	"flag"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

func TestSQLAnswersBesideTheServer(t *testing.T) {
	eventlog.RegisterMessage[*durationpb.Duration]()
	log, url := openLog(t)
	mustAppend(t, log, known(t, "a"), known(t, "b"))
	const query = "SELECT id, seconds, nanos FROM duration"
	for format, want := range map[string]string{
		"":      `{"id":"a","seconds":90,"nanos":0}` + "\n" + `{"id":"b","seconds":90,"nanos":0}` + "\n",
		"csv":   "id,seconds,nanos\na,90,0\nb,90,0\n",
		"table": "id  seconds  nanos\n──────────────────\na        90      0\nb        90      0\n",
	} {
		args := []string{"sql", query}
		if format != "" {
			args = append(args, "--output", format)
		}
		if got, err := run(t, url, args...); err != nil || got != want {
			t.Errorf("%s: got\n%s(%v), want\n%s", format, got, err, want)
		}
	}
}

func TestSQLTakesARange(t *testing.T) {
	log, url := openLog(t)
	other := known(t, "c")
	other.Type = "order.paid"
	mustAppend(t, log, known(t, "a"), known(t, "b"), other)
	for flags, want := range map[string]string{
		"--after 1": "2", "--fast": "3", "--type order.paid": "1", "--since 1h": "3", "--until 1h": "0", "--after 1 --type order.placed": "1", "--since 2126-11-28T00:00:00Z": "0",
	} {
		args := append([]string{"sql", "SELECT count(*) FROM events", "--output", "csv"}, strings.Fields(flags)...)
		if got, err := run(t, url, args...); err != nil || got != "count(*)\n"+want+"\n" {
			t.Errorf("%s: got %q (%v), want %s", flags, got, err, want)
		}
	}
}

func TestSQLRefusesWhatItDoesNotKnow(t *testing.T) {
	_, url := openLog(t)
	for args, want := range map[string]string{
		"sql .tables --output xml":      "--output xml: want table, csv, json",
		"sql .tables --until yesterday": `--until "yesterday": want a time`,
		"sql .tables .schema":           "unexpected argument",
	} {
		if _, err := run(t, url, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", args, err, want)
		}
	}
	help, err := run(t, url, "sql", "--help")
	if !errors.Is(err, flag.ErrHelp) || !strings.Contains(help, "events sql [QUERY] [flags]") || !strings.Contains(help, "-output") {
		t.Errorf("got %s (%v), want the help", help, err)
	}
	if help, _ := run(t, url, "--help"); !strings.Contains(help, "  sql  ") {
		t.Errorf("the help of events lacks sql:\n%s", help)
	}
}
