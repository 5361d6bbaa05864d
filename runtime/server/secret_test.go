package server

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestSecretsOfTextsAreHidden(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "",
		":50051":                             ":50051",
		"localhost:50051":                    "localhost:50051",
		"sqlite:data/receiver.db":            "sqlite:data/receiver.db",
		"nats://one:4222,two/A":              "nats://one:4222,two/A",
		"ops@example.com":                    "ops@example.com",
		"nats://me:hunter2@one/A":            "nats://me:xxxxx@one/A",
		"nats://hunter2@one/A":               "nats://xxxxx@one/A",
		"nats://me:hun@ter2@one/A":           "nats://me:xxxxx@one/A",
		"nats://me:hun/ter2@one/A":           "nats://me:xxxxx@one/A",
		"nats://me:hun?ter2@one/A":           "nats://me:xxxxx@one/A",
		"nats://me:hun#ter2@one/A":           "nats://me:xxxxx@one/A",
		"nats://hun/ter2@one/A":              "nats://xxxxx@one/A",
		"nats://me:hunter2@a,me:hunter2@b/A": "nats://me:xxxxx@b/A",
		"nats://one/A?monitor=http://me:hunter2@one:8222":        "nats://xxxxx@one:8222",
		"nats://one/A?creds=/run/a.creds&window=1h":              "nats://one/A?creds=/run/a.creds&window=1h",
		"nats:me:hunter2@one/A":                                  "nats:xxxxx@one/A",
		"postgres://h/db?user=me&password=hunter2&sslmode=never": "postgres://h/db?user=me&password=xxxxx&sslmode=never",
		"https://h/?access_token=hunter2&API-Key=hunter2":        "https://h/?access_token=xxxxx&API-Key=xxxxx",
		"host=h user=me password=hunter2 dbname=d":               "host=h user=me password=xxxxx dbname=d",
		"pgr_0123456789abcdef0123456789":                         "xxxxx",
		"keys/pgr_0123456789abcdef.key":                          "keys/xxxxx.key",
		"-----BEGIN EC PRIVATE KEY-----\nhunter2\n":              "xxxxx",
		"me:hunter2@tcp(h)/db":                                   "me:xxxxx@tcp(h)/db",
	} {
		if got := redacted(text); got != want {
			t.Errorf("%s is shown as %s, want %s", text, got, want)
		}
	}
}

// TestNoSecretIsPrinted gives secrets in each way, right and wrong, and looks for
// them in all that Parse prints and returns.
func TestNoSecretIsPrinted(t *testing.T) {
	t.Chdir(t.TempDir())
	const url, key = "nats://me:hunter2@one/A", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"
	own := func(flags *flag.FlagSet) {
		flags.Var(new(Secret), "token", "`token` of another service")
		flags.Func("peer", "", func(text string) error { return fmt.Errorf("parse %q: no such peer as %s", text, text) })
		flags.Int("port", 0, "")
	}
	for _, test := range []struct {
		args, variables []string
		file            string
		err             string // what the error must name
	}{
		{args: []string{"--print-config", "--events", url, "--token", "hunter2"}},
		{args: []string{"--print-config"}, variables: []string{"A_SERVER_EVENTS=" + url, "A_SERVER_TOKEN=hunter2"}},
		{args: []string{"--print-config"}, file: "events: " + url + "\ntoken: hunter2\n"},
		{args: []string{url}, err: "unexpected argument"},
		{args: []string{"--insecure", url}, err: "unexpected argument"},
		{args: []string{"--evnts=" + url}, err: "--evnts"},
		{args: []string{"--evnts", url}, err: "--evnts"},
		{args: []string{"--tokn", "hunter2"}, err: "--tokn"},
		{args: []string{"--addr", url}, err: "--addr"},
		{args: []string{"--peer", url}, err: "--peer"},
		{args: []string{"--port", url}, err: "--port"},
		{args: []string{"--log-format", url}, err: "--log-format"},
		{args: []string{"--log-level", url}, err: "--log-level"},
		{args: []string{"--insecure=" + url}, err: "--insecure"},
		{args: []string{"--tls-cert=" + url}, err: "--tls-cert"},
		{args: []string{"--config", url}, err: "--config"},
		{variables: []string{"A_SERVER_PORT=" + url}, err: "A_SERVER_PORT"},
		{variables: []string{"A_SERVER_PEER=" + url}, err: "A_SERVER_PEER"},
		{variables: []string{"A_SERVER_EVENTS_FILE=" + url}, err: "A_SERVER_EVENTS_FILE"},
		{variables: []string{"A_SERVER_TOKEN=hunter2", "A_SERVER_TOKEN_FILE=f"}, err: "A_SERVER_TOKEN"},
		{variables: []string{"A_SERVER_PORT_FILE=config.yaml"}, file: "hunter2", err: "A_SERVER_PORT_FILE: config.yaml"},
		{variables: []string{"A_SERVER_PEER_FILE=config.yaml"}, file: "hunter2", err: "A_SERVER_PEER_FILE: config.yaml"},
		{variables: []string{"A_SERVER_TLS_KEY_FILE=config.yaml"}, file: key,
			err: "A_SERVER_TLS_KEY_FILE: config.yaml: what is in it is taken for the name of the file for --tls-key: name that file in A_SERVER_TLS_KEY, without _FILE"},
		{variables: []string{"A_SERVER_TLS_KEY=" + key}, err: "A_SERVER_TLS_KEY: --tls-key: want the name of a file, not what is in it"},
		{args: []string{"--print-config", "--tls-cert", "cert.pem", "--tls-key", key}, err: "--tls-key: want the name of a file, not what is in it"},
		{file: "tls-key: |\n  -----BEGIN PRIVATE KEY-----\n  hunter2\n", err: "config.yaml:1: --tls-key: want the name of a file, not what is in it"},
		{file: "hunter2", err: "config.yaml:1"},
		{file: "TOKEN=hunter2", err: "config.yaml:1"},
		{file: "token: *hunter2", err: "config.yaml:1"},
		{file: "token: !hunter2 x\nevents\n", err: "config.yaml:3"},
		{file: "token: @hunter2", err: "config.yaml:1"},
		{file: "token: %hunter2", err: "config.yaml:1"},
		{file: "token: 'hunter2", err: "config.yaml:1"},
		{file: "token: a: hunter2", err: "config.yaml:1"},
		{file: "token: [hunter2]\n", err: "config.yaml:1: token"},
		{file: "tokn: hunter2\n", err: "config.yaml:1"},
		{file: url + ": x\n", err: "config.yaml:1"},
		{file: "port: " + url, err: "config.yaml:1: port"},
		{file: "peer: " + url, err: "config.yaml:1: peer"},
		{file: "token: hunter2\ntoken: hunter2", err: "config.yaml:2: token"},
		{file: "token: hunter2\n---\ntoken: hunter2", err: "config.yaml:2"},
	} {
		args := test.args
		if test.file != "" {
			write := saved(t, "config.yaml", test.file)
			t.Chdir(strings.TrimSuffix(write, "config.yaml"))
			if test.variables == nil {
				args = append([]string{"--config", "config.yaml"}, args...)
			}
		}
		var out bytes.Buffer
		_, err := Parse("a-server", args, environment(test.variables...), &out, own)
		if err == nil {
			t.Errorf("%q %q %q: no error", test.args, test.variables, test.file)
			continue
		}
		if all := out.String() + err.Error(); strings.Contains(all, "hunter2") {
			t.Errorf("%q %q %q: a secret is in\n%s", test.args, test.variables, test.file, all)
		}
		if test.err == "" && (!errors.Is(err, flag.ErrHelp) || !strings.Contains(out.String(), "nats://me:xxxxx@one/A #") || !strings.Contains(out.String(), "\ntoken: xxxxx #")) {
			t.Errorf("%q %q %q: %v\n%s", test.args, test.variables, test.file, err, out.String())
		}
		if !strings.Contains(err.Error(), test.err) {
			t.Errorf("%q %q %q: %v, want an error with %s", test.args, test.variables, test.file, err, test.err)
		}
	}
}

func TestASecretIsGivenToTheProgram(t *testing.T) {
	var token Secret
	_, err := Parse("a-server", nil, environment("A_SERVER_TOKEN_FILE="+saved(t, "token", "hunter2\n")), io.Discard, func(flags *flag.FlagSet) {
		flags.Var(&token, "token", "")
	})
	if err != nil || string(token) != "hunter2" || fmt.Sprintf("%v %s", token, &token) != "xxxxx xxxxx" {
		t.Errorf("it is %q, and printed as %v (%v)", token.Get(), token, err)
	}
}
