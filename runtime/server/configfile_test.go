package server

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWhatIsWrongInAFileIsReportedWithItsLine(t *testing.T) {
	for _, test := range []struct{ file, want string }{
		{"addr: localhost:1\n\nmaxCalls: 1", `config.yaml:3: unknown key "maxCalls": did you mean max-calls?`},
		{"max_calls: 1", `config.yaml:1: unknown key "max_calls": did you mean max-calls?`},
		{"--max-calls: 1", `config.yaml:1: unknown key "--max-calls": did you mean max-calls?`},
		{"<<: {max-calls: 1}", `config.yaml:1: unknown key "<<": see a-server --help`},
		{"max-calls: 1\nmax-calls: 2", "config.yaml:2: max-calls is in line 1, too: leave out one of them"},
		{"max-calls:\n  a: 1", "config.yaml:2: max-calls: want one value, without others in it"},
		{"max-calls: &x 1\nmax-tails: *x", "config.yaml:2: max-tails: want one value, without others in it"},
		{"max-calls: 1.5", `config.yaml:1: max-calls "1.5": want a whole number`},
		{"max-calls: true", `config.yaml:1: max-calls "true": want a whole number`},
		{"insecure: yes", `config.yaml:1: insecure "yes": want true or false`},
		{"insecure: 2", `config.yaml:1: insecure "2": want true or false`},
		{"drain-timeout: 10", `config.yaml:1: drain-timeout "10": want a duration with its unit, such as 10s`},
		{"log-level: loud", `config.yaml:1: log-level "loud": want debug, info, warn or error`},
		{"log-format: xml", `config.yaml:1: log-format "xml": want text or json`},
		{"addr:\n", "config.yaml:1: addr: it has no value: give one, or leave out the line"},
		{"addr: ~", "config.yaml:1: addr: it has no value: give one, or leave out the line"},
		{"addr: ''", `config.yaml:1: addr "": want host:port, such as localhost:50051`},
		{"[a]: 1", "config.yaml:1: want the name of a flag before the colon, such as addr: localhost:50051"},
		{"- addr", "config.yaml:1: want lines with a flag and its value, such as addr: localhost:50051"},
		{"\naddr", "config.yaml:2: want lines with a flag and its value, such as addr: localhost:50051"},
		{"config: other.yaml", "config.yaml:1: config can't be in the file: give it as a flag"},
		{"print-config: true", "config.yaml:1: print-config can't be in the file: give it as a flag"},
		{"events: nats://me:xxxxx@one/A", "config.yaml:1: events: what is secret was hidden by --print-config: write it again in place of xxxxx"},
		{"max-calls: 1\n---\nmax-tails: 1\n", "config.yaml:2: a second document begins: want one"},
		{"max-calls: 1\naddr: \xff\n", "config.yaml:2: the file is not UTF-8"},
		{"addr: :1\n\tinsecure: true", "config.yaml:2:1: it can't be read as YAML: found a tab character"},
		{"max-calls: [1", "config.yaml:2:1: it can't be read as YAML: "},
		{"addr: a: b", "config.yaml:1:8: it can't be read as YAML: mapping values are not allowed"},
		{strings.Repeat(" ", 2<<20), `--config "config.yaml": the file is larger than 1 MiB`},
	} {
		t.Chdir(filepath.Dir(saved(t, "config.yaml", test.file)))
		_, err := Parse("a-server", []string{"--config", "config.yaml"}, environment(), io.Discard)
		oneLine(t, err, test.want)
	}
}

func TestAFileMayBeEmptyOrJSON(t *testing.T) {
	for _, content := range []string{"", "# only a comment\n", "---\n", "{}"} {
		config, err := Parse("a-server", []string{"--config", saved(t, "config.yaml", content)}, environment(), io.Discard)
		if want := Defaults("a-server"); err != nil || config != want {
			t.Errorf("%q: got  %+v, %v\nwant %+v", content, config, err, want)
		}
	}
	config, err := Parse("a-server", []string{"--config", saved(t, "config.json", `{"max-calls": 7, "insecure": true, "drain-timeout": "1m"}`)}, environment(), io.Discard)
	if err != nil || config.MaxCalls != 7 || !config.Insecure || config.DrainTimeout != time.Minute {
		t.Errorf("of JSON it reads %+v, %v", config, err)
	}
}

func TestPrintConfigNamesTheSources(t *testing.T) {
	t.Chdir(filepath.Dir(saved(t, "config.yaml", "# limits\nmax-calls: 7\nmax-tails: 7\n")))
	var out bytes.Buffer
	_, err := Parse("a-server", []string{"--print-config", "--config", "config.yaml", "--addr", ":1", "--insecure"},
		environment("A_SERVER_MAX_TAILS=8", "A_SERVER_EVENTS_FILE="+saved(t, "events", "sqlite:a b: c.db\n")), &out)
	if !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("%v, want flag.ErrHelp", err)
	}
	for _, line := range []string{
		"# Configuration of a-server\n",
		"\naddr: :1 # flag\n",
		"\ninsecure: true # flag\n",
		"\nmax-calls: 7 # config.yaml:2\n",
		"\nmax-tails: 8 # A_SERVER_MAX_TAILS\n",
		"\nevents: 'sqlite:a b: c.db' # A_SERVER_EVENTS_FILE\n",
		"\nmax-batch: 50000 # default\n",
		"\nreflection: false # default\n",
		"\ntls-key: '' # default\n",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("it doesn't print %q:\n%s", line, out.String())
		}
	}
	for _, name := range []string{"\nconfig:", "\nprint-config:"} {
		if strings.Contains(out.String(), name) {
			t.Errorf("it prints %q:\n%s", name, out.String())
		}
	}
}

// TestPrintConfigIsReadAgain checks that what is printed means what was given.
func TestPrintConfigIsReadAgain(t *testing.T) {
	type own struct {
		name  string
		peers string
	}
	parse := func(out io.Writer, args ...string) (Config, own, error) {
		var o own
		config, err := Parse("a-server", args, environment(), out, func(flags *flag.FlagSet) {
			flags.StringVar(&o.name, "name", "", "")
			flags.Func("peer", "", func(text string) error {
				o.peers += text + ";"
				return nil
			})
		})
		return config, o, err
	}
	for _, args := range [][]string{
		nil,
		{"--addr", ":1", "--insecure", "--max-calls=5", "--drain-timeout=90s", "--log-level=debug", "--log-format=json", "--reflection"},
		{"--name=true", "--events=~"},
		{"--name=a: b # c", "--peer=1", "--peer=: #"},
		{"--name=\ttwo\nlines\r\n", "--peer=x"},
		{"--name=" + strings.Repeat("long words ", 50)},
		{"--name=0x10", "--events="},
		{"--name=&a", "--events=*b"},
		{"--name=ünïcode 🎉 \x00\x7f"},
	} {
		want, wantOwn, err := parse(io.Discard, args...)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if _, _, err := parse(&out, append(args, "--print-config")...); !errors.Is(err, flag.ErrHelp) {
			t.Fatalf("%q: %v", args, err)
		}
		got, gotOwn, err := parse(io.Discard, "--config", saved(t, "config.yaml", out.String()))
		if err != nil || got != want || gotOwn != wantOwn {
			t.Errorf("%q: got  %+v %+v, %v\nwant %+v %+v from\n%s", args, got, gotOwn, err, want, wantOwn, out.String())
		}
	}
}

func TestPrintConfigReportsWhatIsWrongInstead(t *testing.T) {
	var out bytes.Buffer
	_, err := Parse("a-server", []string{"--print-config", "--max-calls", "x"}, environment(), &out)
	oneLine(t, err, `--max-calls "x"`)
	if out.Len() > 0 {
		t.Errorf("it prints\n%s", out.String())
	}
}
