package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// signals writes a module with services of several proto packages, as those of
// OpenTelemetry are, and returns the protos.
func signals(t *testing.T, dir string) (protos []string) {
	t.Helper()
	write(t, filepath.Join(dir, "go.mod"), "module example.com/tel\n\ngo 1.26\n")
	for _, signal := range []string{"Logs", "Trace", "Metrics"} {
		name := strings.ToLower(signal)
		proto := filepath.Join("tel", name, "v1", name+".proto")
		protos = append(protos, proto)
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, proto)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, proto), strings.NewReplacer("SIGNAL", signal, "NAME", name).Replace(`syntax = "proto3";
package tel.NAME.v1;
option go_package = "example.com/tel/gen/NAME/v1;NAMEv1";
service SIGNALService { rpc Export(SIGNALEvent) returns (Reply); }
service Common { rpc Ping(Reply) returns (Reply); }
message SIGNALEvent { string event_type = 1; string source = 2; }
message Reply { string message = 1; }
`))
	}
	return protos
}

// TestOneProgramOfSeveralPackages generates one program of three proto packages, the
// third in a later run, for which the run says what main lacks.
func TestOneProgramOfSeveralPackages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	protos := signals(t, dir)
	generate := func(args ...string) string {
		return run(t, dir, "protoc-gen-receiver", append([]string{"generate", lean, "--receiver_opt=program=tel"}, args...)...)
	}
	generate(protos[0], protos[1])
	run(t, dir, "go", "mod", "tidy")
	if output := generate(protos[0], protos[1]); output != "" {
		t.Errorf("the second time it prints\n%s", output)
	}
	const lacks = "cmd/tel-server/main.go:60: service tel.metrics.v1.MetricsService is not served: write metricsService := metricsservice.New(metricsv1events.New(log)), and pass metricsv1server.MetricsService(metricsService) and "
	if output := generate(protos[2]); !strings.Contains(output, lacks) {
		t.Errorf("with a third package it prints\n%s\nwant\n%s", output, lacks)
	}
	main := filepath.Join(dir, "cmd/tel-server/main.go")
	text, err := os.ReadFile(main)
	if err != nil {
		t.Fatal(err)
	}
	const needs = "\t\tserver.Needs("
	write(t, main, strings.NewReplacer(
		needs, "\t\tmetricsv1server.MetricsService(metricsservice.New(metricsv1events.New(log))),\n"+
			"\t\tserver.Alongside(\"consumer\", metricsservice.New(metricsv1events.New(log)).Consume),\n"+
			"\t\tserver.Without(\"tel.metrics.v1.Common\"),\n"+needs,
		"import (\n", "import (\n\t\"example.com/tel/gen/metrics/v1/metricsv1events\"\n\t\"example.com/tel/gen/metrics/v1/metricsv1server\"\n"+
			"\t\"example.com/tel/internal/tel/metrics/v1/metricsservice\"\n",
	).Replace(string(text)))
	for _, args := range [][]string{{protos[2]}, {protos[0]}, nil} {
		if output := generate(args...); output != "" {
			t.Errorf("of %q, with main as asked, it prints\n%s", args, output)
		}
	}
	run(t, dir, "go", "vet", "./...")
	help := run(t, dir, "go", "run", "./cmd/tel-client", "help")
	for _, command := range []string{"LogsService.export", "TraceService.export", "MetricsService.export", "logs.v1.Common.ping", "trace.v1.Common.ping", "metrics.v1.Common.ping"} {
		if !strings.Contains(help, command) {
			t.Errorf("the client has no %s:\n%s", command, help)
		}
	}
	programs, _ := filepath.Glob(filepath.Join(dir, "cmd/*"))
	if len(programs) != 2 {
		t.Errorf("the programs are %q, want tel-client and tel-server", programs)
	}
}
