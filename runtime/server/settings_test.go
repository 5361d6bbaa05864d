package server

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// saved writes a file and returns its path.
func saved(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlagsBeatEnvironmentBeatsFile(t *testing.T) {
	file := saved(t, "config.yaml", "max-streams: 1\nmax-tails: 2\nmax-batch: 3\n")
	variables := environment("A_SERVER_CONFIG="+file, "A_SERVER_MAX_TAILS=20", "A_SERVER_MAX_BATCH=30")
	config, err := Parse("a-server", []string{"--max-batch", "300"}, variables, io.Discard)
	want := Defaults("a-server")
	want.MaxStreams, want.MaxTails, want.MaxBatch = 1, 20, 300
	if err != nil || config != want {
		t.Errorf("got  %+v, %v\nwant %+v", config, err, want)
	}
	other := saved(t, "other.yaml", "max-streams: 10")
	if config, err := Parse("a-server", []string{"--config", other}, variables, io.Discard); err != nil || config.MaxStreams != 10 {
		t.Errorf("with --config and its variable, max-streams is %d (%v), want 10", config.MaxStreams, err)
	}
	if config, err := Parse("a-server", []string{"--config="}, variables, io.Discard); err != nil || config.MaxStreams != 1024 {
		t.Errorf("with an empty --config, max-streams is %d (%v), want the default", config.MaxStreams, err)
	}
}

// TestAllThatIsWrongIsReportedAtOnce has mistakes of each kind in each source.
func TestAllThatIsWrongIsReportedAtOnce(t *testing.T) {
	file := saved(t, "config.yaml", `# a comment
max-cals: 5
max-calls: many
max-tails: -1
idle-timeout: [1s]
drain-timeout: 0s
`)
	t.Chdir(filepath.Dir(file))
	args := []string{"--config", "config.yaml", "--adr", "localhost:1", "--max-streams", "x", "serve", "--insecure", "false", "--log-format=xml"}
	variables := environment("A_SERVER_MAX_BATCH=y", "A_SERVER_MAX_MEMORY_BYTES=-5", "A_SERVER_TLS_CERT=cert.pem",
		"A_SERVER_RECEIVE_TIMEOUT=10", "A_SERVER_MAX_MESSAGE_BYTES=99999999999999999999")
	_, err := Parse("a-server", args, variables, io.Discard)
	if err == nil {
		t.Fatal("no error")
	}
	got := strings.Split(err.Error(), "\n")
	want := []string{
		"unknown flag --adr: did you mean --addr?",
		`unexpected argument "serve": see a-server --help`,
		`unexpected argument "false": a value of --insecure is written as --insecure=false`,
		`config.yaml:2: unknown key "max-cals": did you mean max-calls?`,
		`config.yaml:3: max-calls "many": want a whole number`,
		`config.yaml:4: max-tails "-1": want a number of at least 0, which turns the limit off`,
		`config.yaml:5: idle-timeout: want one value, without others in it`,
		`config.yaml:6: drain-timeout "0s": want a duration of more than 0`,
		`A_SERVER_MAX_BATCH="y": want a whole number`,
		`A_SERVER_MAX_MEMORY_BYTES="-5": want a number of at least 0, which turns the limit off`,
		`A_SERVER_MAX_MESSAGE_BYTES="99999999999999999999": the number is too large`,
		`A_SERVER_RECEIVE_TIMEOUT="10": want a duration with its unit, such as 10s`,
		`A_SERVER_TLS_CERT="cert.pem": it goes together with --tls-key: give both of them, or neither`,
		`--max-streams "x": want a whole number`,
		`--log-format "xml": want text or json`,
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("it lacks %s", line)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d lines, want %d:\n%s", len(got), len(want), err)
	}
}

// TestOneMistakeIsReportedOnce checks that what is wrong only because of another
// mistake is not reported beside it.
func TestOneMistakeIsReportedOnce(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, test := range []struct {
		args, variables []string
		want            string
	}{
		{args: []string{"--addr", ":1", "--insecure=yes"}, want: `--insecure "yes": want true or false`},
		{args: []string{"--addr", ":1", "--insecur"}, want: "unknown flag --insecur: did you mean --insecure?"},
		{args: []string{"--addr", ":1", "--config", "none"}, want: `--config "none": no such file or directory`},
		{args: []string{"--addr", ":1"}, variables: []string{"A_SERVER_INSECURE=1", "A_SERVER_INSECURE_FILE=f"},
			want: "A_SERVER_INSECURE and A_SERVER_INSECURE_FILE are both set: set one of them"},
		{args: []string{"--addr", ":1"}, variables: []string{"A_SERVER_INSECURE_FILE=none"}, want: "A_SERVER_INSECURE_FILE: none: no such file or directory"},
		{args: []string{"--addr", ":1", "--tls-cert", "c", "--tls-key"}, want: "--tls-key: give a value after it"},
	} {
		_, err := Parse("a-server", test.args, environment(test.variables...), io.Discard)
		if err == nil || err.Error() != test.want {
			t.Errorf("%q %q: %v, want %s", test.args, test.variables, err, test.want)
		}
	}
}

func TestAFileHasTheValueOfAVariable(t *testing.T) {
	t.Chdir(t.TempDir())
	for content, want := range map[string]string{
		"nats://h/A":     "nats://h/A",
		"nats://h/A\n":   "nats://h/A",
		"nats://h/A\r\n": "nats://h/A",
		" a\n\n":         " a\n",
	} {
		if err := os.WriteFile("events", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		config, err := Parse("a-server", nil, environment("A_SERVER_EVENTS_FILE=events"), io.Discard)
		if err != nil || config.Events != want {
			t.Errorf("of %q the value is %q (%v), want %q", content, config.Events, err, want)
		}
	}
	if err := failure("empty", "", t); err != "A_SERVER_EVENTS_FILE: empty: the file is empty" {
		t.Error(err)
	}
	if err := failure("large", strings.Repeat("secret", 1<<20), t); err != "A_SERVER_EVENTS_FILE: large: the file is larger than 1 MiB" {
		t.Error(err)
	}
	if _, err := Parse("a-server", nil, environment("A_SERVER_MAX_CALLS_FILE=events"), io.Discard); err == nil || err.Error() != "A_SERVER_MAX_CALLS_FILE: events: want a whole number" {
		t.Error(err)
	}
	_, err := Parse("a-server", nil, environment("A_SERVER_CONFIG_FILE=config.yaml"), io.Discard)
	oneLine(t, err, "A_SERVER_CONFIG_FILE: name the file in A_SERVER_CONFIG")
}

// failure returns the error for a file of --events with a content.
func failure(name, content string, t *testing.T) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Parse("a-server", nil, environment("A_SERVER_EVENTS_FILE="+name), io.Discard)
	if err == nil {
		t.Fatalf("no error for %s", name)
	}
	return err.Error()
}

// TestAFlagForAFileKeepsItsVariable: of a program with --token and --token-file,
// TOKEN_FILE is the variable of the latter.
func TestAFlagForAFileKeepsItsVariable(t *testing.T) {
	var token, file string
	_, err := Parse("a-server", nil, environment("A_SERVER_TOKEN_FILE=none"), io.Discard, func(flags *flag.FlagSet) {
		flags.StringVar(&token, "token", "", "")
		flags.StringVar(&file, "token-file", "", "")
	})
	if err != nil || token != "" || file != "none" {
		t.Errorf("--token is %q and --token-file %q (%v), want the latter to be none", token, file, err)
	}
}

// TestAListIsOfOneSource checks that a flag that may be given several times isn't
// given values of two sources.
func TestAListIsOfOneSource(t *testing.T) {
	file := saved(t, "config.yaml", "peer: [a, b]")
	for _, test := range []struct {
		args, variables, want []string
	}{
		{nil, nil, []string{"a", "b"}},
		{nil, []string{"A_SERVER_PEER=c"}, []string{"c"}},
		{[]string{"--peer", "d", "--peer=e"}, []string{"A_SERVER_PEER=c"}, []string{"d", "e"}},
	} {
		var peers []string
		_, err := Parse("a-server", append(test.args, "--config", file), environment(test.variables...), io.Discard, func(flags *flag.FlagSet) {
			flags.Func("peer", "", func(text string) error {
				peers = append(peers, text)
				return nil
			})
		})
		if err != nil || !slices.Equal(peers, test.want) {
			t.Errorf("%q %q: got %q (%v), want %q", test.args, test.variables, peers, err, test.want)
		}
	}
}

func TestAProgramsOwnConfigReplacesTheServers(t *testing.T) {
	var own string
	_, err := Parse("a-server", []string{"--config", "none"}, environment(), io.Discard, func(flags *flag.FlagSet) {
		flags.StringVar(&own, "config", "", "")
		flags.Bool("print-config", false, "")
	})
	if err != nil || own != "none" {
		t.Errorf("it is %q (%v), want none", own, err)
	}
}

// TestASubcommandReadsWhatItShares checks that a subcommand has the flags that it
// shares with the server from all sources, and others from arguments only.
func TestASubcommandReadsWhatItShares(t *testing.T) {
	file := saved(t, "config.yaml", "addr: :1\ncounts: c.db\nafter: 7\nevents: nats://f/A\n")
	for _, test := range []struct {
		args, variables []string
		events, after   string
		err             string
	}{
		{events: "default", after: "0"},
		{args: []string{"--config", file}, events: "nats://f/A", after: "0"},
		{variables: []string{"A_SERVER_CONFIG=" + file, "A_SERVER_AFTER=3", "A_SERVER_AFTER_FILE=4"}, events: "nats://f/A", after: "0"},
		{variables: []string{"A_SERVER_CONFIG=" + file, "A_SERVER_EVENTS=nats://v/A"}, events: "nats://v/A", after: "0"},
		{args: []string{"--events=nats://a/A", "--after", "5"}, variables: []string{"A_SERVER_EVENTS=nats://v/A"}, events: "nats://a/A", after: "5"},
		{args: []string{"--evnts=nats://a/A", "--after", "x"}, err: "unknown flag --evnts: did you mean --events?\n--after \"x\": want a whole number"},
		{args: []string{"-h"}, err: "flag: help requested"},
	} {
		flags := flag.NewFlagSet("a-server events tail", flag.ContinueOnError)
		flags.String("events", "default", "")
		flags.Int("after", 0, "")
		err := ParseSubcommand(flags, "a-server", test.args, 0, environment(test.variables...), "events")
		if test.err != "" {
			if err == nil || err.Error() != test.err {
				t.Errorf("%q: %v, want %s", test.args, err, test.err)
			}
			continue
		}
		events, after := flags.Lookup("events").Value.String(), flags.Lookup("after").Value.String()
		if err != nil || events != test.events || after != test.after {
			t.Errorf("%q %q: events %s, after %s (%v), want %s and %s", test.args, test.variables, events, after, err, test.events, test.after)
		}
	}
}

func TestFromEnvironmentReportsAll(t *testing.T) {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.Int("a", 0, "")
	flags.Bool("b", false, "")
	name := flags.String("name", "", "")
	err := FromEnvironment(flags, "x", environment("X_A=1.5", "X_B=no", "X_NAME_FILE="+saved(t, "name", "me\n")))
	want := "X_A=\"1.5\": want a whole number\nX_B=\"no\": want true or false"
	if err == nil || err.Error() != want || *name != "me" {
		t.Errorf("error is %v and name %q, want me and\n%s", err, *name, want)
	}
}
