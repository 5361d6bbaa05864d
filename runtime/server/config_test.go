package server

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// environment returns a getenv with the given variables, each name=value.
func environment(variables ...string) func(string) string {
	return func(name string) string {
		for _, variable := range variables {
			if value, ok := strings.CutPrefix(variable, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

func TestWithoutFlagsTheDefaultsHold(t *testing.T) {
	config, err := Parse("receiver-server", nil, environment(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if want := Defaults("receiver-server"); config != want {
		t.Errorf("got  %+v\nwant %+v", config, want)
	}
	if want := "sqlite:data/receiver.db"; config.Events != want {
		t.Errorf("events are in %q, want %q", config.Events, want)
	}
}

func TestFlagsBeatEnvironmentBeatsDefaults(t *testing.T) {
	variables := environment("RECEIVER_SERVER_DRAIN_TIMEOUT=2s", "RECEIVER_SERVER_MAX_STREAMS=20", "DRAIN_TIMEOUT=4s")
	config, err := Parse("receiver-server", []string{"--drain-timeout", "3s"}, variables, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := Defaults("receiver-server")
	want.DrainTimeout, want.MaxStreams = 3*time.Second, 20
	if config != want {
		t.Errorf("got  %+v\nwant %+v", config, want)
	}
}

func TestEveryFieldHasAFlagAndAVariable(t *testing.T) {
	want := Config{
		Addr: "0.0.0.0:1", TLSCert: "c", TLSKey: "k", TLSClientCA: "a", Insecure: true, Events: "nats://h", MaxMessageBytes: 1, MaxMetadataBytes: 13, MaxStreams: 2,
		MaxConnections: 3, MaxAddressConnections: 5, MaxCalls: 6, MaxTails: 7, MaxMemoryBytes: 8, MaxBatch: 9,
		ReceiveTimeout: 10, IdleTimeout: 11, MaxConnectionAge: 12, MaxConnectionAgeGrace: 13, DrainDelay: 14, DrainTimeout: 4, Reflection: true, LogLevel: slog.LevelWarn, LogFormat: "json",
	}
	var args, variables []string
	var lines string
	for _, set := range []string{
		"addr=0.0.0.0:1", "tls-cert=c", "tls-key=k", "tls-client-ca=a", "insecure=true", "events=nats://h", "max-message-bytes=1", "max-metadata-bytes=13", "max-streams=2",
		"max-connections=3", "max-connections-per-address=5", "max-calls=6", "max-tails=7", "max-memory-bytes=8", "max-batch=9",
		"receive-timeout=10ns", "idle-timeout=11ns", "max-connection-age=12ns",
		"max-connection-age-grace=13ns", "drain-delay=14ns", "drain-timeout=4ns", "reflection=true", "log-level=warn", "log-format=json",
	} {
		name, value, _ := strings.Cut(set, "=")
		args = append(args, "--"+set)
		variables = append(variables, "A_SERVER_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"="+value)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	for _, arg := range args {
		name, value, _ := strings.Cut(arg[2:], "=")
		lines += name + ": " + value + "\n"
	}
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	for by, parse := range map[string]func() (Config, error){
		"a file": func() (Config, error) {
			return Parse("a-server", []string{"--config", file}, environment(), io.Discard)
		},
		"flags":     func() (Config, error) { return Parse("a-server", args, environment(), io.Discard) },
		"variables": func() (Config, error) { return Parse("a-server", nil, environment(variables...), io.Discard) },
	} {
		if config, err := parse(); err != nil || config != want {
			t.Errorf("by %s: got  %+v, %v\nwant %+v", by, config, err, want)
		}
	}
}

// TestAProgramHasFlagsOfItsOwn checks that they are read and described as the others.
func TestAProgramHasFlagsOfItsOwn(t *testing.T) {
	parse := func(help io.Writer, getenv func(string) string, args ...string) (counts string, err error) {
		config, err := Parse("a-server", args, getenv, help, func(flags *flag.FlagSet) {
			flags.StringVar(&counts, "counts", "counts.db", "`file` of the counts")
		})
		if want := Defaults("a-server"); err == nil && config != want {
			t.Errorf("got  %+v\nwant %+v", config, want)
		}
		return counts, err
	}
	variable := environment("A_SERVER_COUNTS=b.db")
	for _, test := range []struct {
		args   []string
		getenv func(string) string
		want   string
	}{
		{nil, environment(), "counts.db"},
		{nil, variable, "b.db"},
		{[]string{"--counts", "a.db"}, variable, "a.db"},
	} {
		if got, err := parse(io.Discard, test.getenv, test.args...); err != nil || got != test.want {
			t.Errorf("with %q the flag is %q (%v), want %q", test.args, got, err, test.want)
		}
	}
	var help bytes.Buffer
	if _, err := parse(&help, environment(), "--help"); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "file of the counts") {
		t.Errorf("help ends with %v and prints\n%s", err, help.String())
	}
}

func TestEachMistakeIsReportedInOneLineThatNamesIt(t *testing.T) {
	for _, test := range []struct {
		args, variables []string
		names           string
	}{
		{args: []string{"--addr", "localhost"}, names: "--addr"},
		{args: []string{"--addr", ""}, names: "--addr"},
		{args: []string{"--addr", "::1:50051"}, names: "--addr"},
		{args: []string{"--tls-cert", "cert.pem"}, names: "--tls-key"},
		{args: []string{"--tls-key", "key.pem"}, names: "--tls-cert"},
		{args: []string{"--tls-client-ca", "ca.pem"}, names: "--tls-client-ca \"ca.pem\": it needs TLS"},
		{args: []string{"--insecure=perhaps"}, names: "-insecure"},
		{args: []string{"--max-message-bytes", "4MB"}, names: "-max-message-bytes"},
		{args: []string{"--max-message-bytes", "-1"}, names: `--max-message-bytes "-1"`},
		{args: []string{"--max-streams", "-1"}, names: "--max-streams"},
		{args: []string{"--max-streams", "99999999999999999999"}, names: "-max-streams"},
		{args: []string{"--max-connections", "-1"}, names: `--max-connections "-1"`},
		{args: []string{"--max-connections-per-address", "-1"}, names: "--max-connections-per-address"},
		{args: []string{"--max-calls", "-1"}, names: `--max-calls "-1"`},
		{args: []string{"--max-tails", "-1"}, names: `--max-tails "-1"`},
		{args: []string{"--max-memory-bytes", "256MiB"}, names: "-max-memory-bytes"},
		{args: []string{"--max-memory-bytes", "-1"}, names: `--max-memory-bytes "-1"`},
		{args: []string{"--max-batch", "-1"}, names: `--max-batch "-1"`},
		{args: []string{"--receive-timeout", "-1s"}, names: `--receive-timeout "-1s"`},
		{args: []string{"--idle-timeout", "-1s"}, names: "--idle-timeout"},
		{args: []string{"--max-connection-age", "-1s"}, names: "--max-connection-age"},
		{args: []string{"--drain-timeout", "10"}, names: "-drain-timeout"},
		{args: []string{"--drain-timeout", "0s"}, names: "--drain-timeout"},
		{args: []string{"--reflection=x"}, names: "-reflection"},
		{args: []string{"--log-level", "loud"}, names: "-log-level"},
		{args: []string{"--log-format", "xml"}, names: "--log-format"},
		{args: []string{"--addr"}, names: "-addr"},
		{args: []string{"--adr", "localhost:1"}, names: "--adr: did you mean --addr?"},
		{args: []string{"--nothing-like-it"}, names: "--nothing-like-it: see receiver-server --help"},
		{args: []string{"serve"}, names: `"serve"`},
		{args: []string{"--insecure", "false"}, names: `"false"`},
		{variables: []string{"RECEIVER_SERVER_MAX_STREAMS=many"}, names: `RECEIVER_SERVER_MAX_STREAMS="many"`},
		{variables: []string{"RECEIVER_SERVER_INSECURE=yes"}, names: `RECEIVER_SERVER_INSECURE="yes"`},
		{variables: []string{"RECEIVER_SERVER_LOG_LEVEL=loud"}, names: `RECEIVER_SERVER_LOG_LEVEL="loud"`},
	} {
		_, err := Parse("receiver-server", test.args, environment(test.variables...), io.Discard)
		if err == nil {
			t.Errorf("%q %q: no error", test.args, test.variables)
			continue
		}
		oneLine(t, err, test.names)
	}
}

// oneLine checks that an error is one line that contains all parts.
func oneLine(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q doesn't contain %q", err, part)
		}
	}
}

func TestHelpNamesEveryFlagAndAVariable(t *testing.T) {
	for _, ask := range []string{"-h", "--help"} {
		var help bytes.Buffer
		if _, err := Parse("receiver-server", []string{ask}, environment(), &help); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: %v, want flag.ErrHelp", ask, err)
		}
		for _, part := range []string{
			"-config file", "-print-config", "\nStopping:\n  -drain-delay", "RECEIVER_SERVER_ADDR_FILE",
			"Usage: receiver-server [flags]", "RECEIVER_SERVER_ADDR", "-addr host:port", `(default "localhost:50051")`, "-tls-cert file", "-tls-key file",
			"-insecure", "-events URL", "-max-message-bytes bytes", "-max-streams calls", "-max-connections connections",
			"-max-connections-per-address connections", "-max-calls calls", "-max-tails calls", "-max-memory-bytes bytes",
			"-max-batch elements", "-receive-timeout how long", "-idle-timeout how long", "-max-connection-age how long",
			"-max-connection-age-grace how long", "-drain-delay how long", "-drain-timeout how long", "-reflection", "-log-level level", "-log-format format",
		} {
			if !strings.Contains(help.String(), part) {
				t.Errorf("%s doesn't print %q:\n%s", ask, part, help.String())
			}
		}
	}
}

func TestOnlyThisMachineIsServedInTheClear(t *testing.T) {
	for _, addr := range []string{"localhost:1", "127.0.0.1:1", "127.1.2.3:1", "[::1]:1"} {
		if _, err := Parse("a-server", []string{"--addr", addr}, environment(), io.Discard); err != nil {
			t.Error(err)
		}
	}
	for _, addr := range []string{
		"0.0.0.0:1", ":1", "[::]:1", "192.0.2.1:1", "example.com:1", "localhost.example.com:1", "127.0.0.1.example.com:1", "[fe80::1%lo]:1",
	} {
		config := Defaults("a-server")
		config.Addr = addr
		hand := Service{Desc: &handMade, Impl: &service{}}
		_, err := Listen(config, hand)
		oneLine(t, err, addr, "--tls-cert", "--insecure")
		_, err = Listen(config, hand, Credentials(insecure.NewCredentials()))
		oneLine(t, err, addr, "--tls-cert", "--insecure")
		for _, allowed := range [][]string{{"--insecure"}, {"--tls-cert", "cert.pem", "--tls-key", "key.pem"}} {
			config, err := Parse("a-server", append(allowed, "--addr", addr), environment(), io.Discard)
			if err != nil {
				t.Errorf("%s: %v", allowed, err)
			}
			if err := (&Server{config: config}).checkCredentials(); err != nil {
				t.Errorf("%s: %v", allowed, err)
			}
		}
		if err := (&Server{config: config, credentials: credentials.NewTLS(nil)}).checkCredentials(); err != nil {
			t.Errorf("with credentials: %v", err)
		}
	}
}

func TestReflectionIsOffForOtherMachinesUnlessAskedFor(t *testing.T) {
	for _, test := range []struct {
		args, variables []string
		want            bool
	}{
		{nil, nil, true},
		{[]string{"--addr", "127.0.0.1:1"}, nil, true},
		{[]string{"--addr", "localhost:1", "--tls-cert", "c", "--tls-key", "k"}, nil, true},
		{[]string{"--reflection=false"}, nil, false},
		{[]string{"--addr", ":1", "--insecure"}, nil, false},
		{[]string{"--addr", "192.0.2.1:1", "--tls-cert", "c", "--tls-key", "k"}, nil, false},
		{[]string{"--insecure"}, []string{"A_SERVER_ADDR=0.0.0.0:1"}, false},
		{[]string{"--addr", ":1", "--insecure", "--reflection"}, nil, true},
		{[]string{"--addr", ":1", "--insecure"}, []string{"A_SERVER_REFLECTION=true"}, true},
		{[]string{"--addr", ":1", "--insecure", "--reflection=false"}, []string{"A_SERVER_REFLECTION=true"}, false},
	} {
		config, err := Parse("a-server", test.args, environment(test.variables...), io.Discard)
		if err != nil || config.Reflection != test.want {
			t.Errorf("with %q %q reflection is %t (%v), want %t", test.args, test.variables, config.Reflection, err, test.want)
		}
	}
}

// TestLimitsAreOffIfTheyAreZero serves requests that are more than the defaults
// allow, and that limits of 0 would refuse if nothing were within them.
func TestLimitsAreOffIfTheyAreZero(t *testing.T) {
	args := []string{"--addr", "localhost:0", "--max-message-bytes=0", "--max-streams=0", "--max-connections=0", "--max-connections-per-address=0",
		"--max-calls=0", "--max-tails=0", "--max-memory-bytes=0", "--max-batch=0", "--receive-timeout=0", "--idle-timeout=0", "--max-connection-age=0"}
	config, err := Parse("a-server", args, environment(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	client := testpb.NewTestServiceClient(dial(t, serve(t, config, tested(&service{
		unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return &testpb.SimpleResponse{}, nil
		},
		tail: func(stream testpb.TestService_StreamingOutputCallServer) error {
			return stream.Send(&testpb.StreamingOutputCallResponse{})
		},
	})).Addr()))
	large := &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 5<<20)}} // more than by default
	if _, err := client.UnaryCall(soon(t), large); err != nil {
		t.Error(err)
	}
	batch := &testpb.StreamingOutputCallRequest{}
	for range 60_000 { // more than by default
		batch.ResponseParameters = append(batch.ResponseParameters, &testpb.ResponseParameters{Size: 1})
	}
	tail, err := client.StreamingOutputCall(soon(t), batch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tail.Recv(); err != nil {
		t.Error(err)
	}
}
