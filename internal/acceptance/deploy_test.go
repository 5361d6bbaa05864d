package acceptance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWhatDeploysAProgram generates modules with and without what a server may have, and
// checks which files deploy it, and that those that are there name nothing that is not.
func TestWhatDeploysAProgram(t *testing.T) {
	t.Parallel()
	monitored := []string{"alerts.yaml", "dashboard.json", "grafana/dashboards.yaml", "grafana/datasources.yaml", "prometheus.yaml"}
	always := []string{"Dockerfile", "Dockerfile.dockerignore", "bank-server.service", "compose.yaml"}
	for _, test := range []struct {
		name, option string
		plain        bool // whether no RPC takes events
		want         [][]string
		without      []string // words that are in no file
	}{
		{name: "all", option: "events=auto", want: [][]string{always, monitored, {"kubernetes/nats.yaml", "kubernetes/sqlite.yaml", "nats.conf"}}},
		{name: "without events", plain: true, option: "events=auto", want: [][]string{always, monitored, {"kubernetes/deployment.yaml"}},
			without: []string{"nats", "sqlite", "eventlog_", "/data/", "EVENTS"}},
		{name: "SQLite alone", option: "engines=sqlite", want: [][]string{always, monitored, {"kubernetes/sqlite.yaml"}}, without: []string{"nats"}},
		{name: "no parts", option: "parts=none", want: [][]string{always, {"kubernetes/nats.yaml", "kubernetes/sqlite.yaml", "nats.conf"}},
			without: []string{"prometheus", "Prometheus", "Grafana", "and metrics", "8080"}},
		{name: "no HTTP", option: "parts=metrics", want: [][]string{always, monitored, {"kubernetes/nats.yaml", "kubernetes/sqlite.yaml", "nats.conf"}},
			without: []string{"http-addr", "8080"}},
		{name: "nothing", option: "deploy=none"},
		{name: "no programs", option: "programs=none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, "go.mod"), "module example.com/bank\n\ngo 1.27.3\n")
			message := "BankEvent"
			if test.plain {
				message = "Deposit"
			}
			write(t, filepath.Join(dir, "bank.proto"), strings.ReplaceAll(`syntax = "proto3";
package bank.v1;
option go_package = "example.com/bank/gen/bankv1";
service Bank { rpc Put(MESSAGE) returns (Reply); }
message MESSAGE { string event_type = 1; string source = 2; }
message Reply { string message = 1; }
`, "MESSAGE", message))
			run(t, dir, "protoc-gen-receiver", "generate", "--receiver_opt="+test.option)
			var got []string
			for name, text := range contents(t, dir) {
				name, ok := strings.CutPrefix(name, "deploy/bank-server/")
				if !ok {
					continue
				}
				got = append(got, name)
				for _, word := range append(test.without, "<no value>", "[[", "\n\n\n", " \n") {
					if strings.Contains(string(text), word) {
						t.Errorf("%s has %q:\n%s", name, word, text)
					}
				}
				if strings.HasPrefix(string(text), "\n") || strings.HasSuffix(string(text), "\n\n") || !strings.HasSuffix(string(text), "\n") {
					t.Errorf("%s begins or ends with blank lines, or has no newline at its end:\n%s", name, text)
				}
			}
			slices.Sort(got)
			if want := slices.Sorted(slices.Values(slices.Concat(test.want...))); !slices.Equal(got, want) {
				t.Errorf("with %s there is\n%q\nwant\n%q", test.option, got, want)
			}
			if text, err := os.ReadFile(filepath.Join(dir, "deploy/bank-server/Dockerfile")); err == nil && !strings.Contains(string(text), "golang:1.27 ") {
				t.Errorf("the Dockerfile has not the minor version of go.mod:\n%s", text)
			}
			if entries, _ := os.ReadDir(filepath.Join(dir, "deploy")); len(test.want) == 0 && len(entries) > 0 {
				t.Errorf("there is deploy/%s", entries[0].Name())
			}
		})
	}
}
