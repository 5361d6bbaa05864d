package acceptance

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestPluginRefusesBadInput runs protoc, and checks that there is one message, exit
// code 1, and no file. (Goldens of the messages are in testdata.)
func TestPluginRefusesBadInput(t *testing.T) {
	tool(t, "protoc", fromProtoc)
	for name, test := range map[string]struct {
		change func(t *testing.T, dir string)
		option string
		want   string
	}{
		"no go_package": {
			change: func(t *testing.T, dir string) {
				text, err := os.ReadFile(filepath.Join(dir, "receiver.proto"))
				if err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(dir, "receiver.proto"), regexp.MustCompile(`option go_package.*`).ReplaceAllString(string(text), ""))
			},
			want: "receiver.proto:1:1: there is no go_package",
		},
		"no go.mod": {
			change: func(t *testing.T, dir string) {
				if err := os.Remove(filepath.Join(dir, "go.mod")); err != nil {
					t.Fatal(err)
				}
			},
			want: "no go.mod in ",
		},
		"unknown option":         {option: "colour=red", want: `option "colour=red" is unknown: want one of root=DIR, `},
		"malformed option":       {option: "scaffold=some", want: `option "scaffold=some": want scaffold=new|all`},
		"option without a value": {option: "scaffold", want: `option "scaffold" has no value`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newModule(t)
			if test.change != nil {
				test.change(t, dir)
			}
			args := []string{"--receiver_out=.", "receiver.proto"}
			if test.option != "" {
				args = append(args, "--receiver_opt="+test.option)
			}
			output, err := try(t, dir, "protoc", args...)
			if err == nil {
				t.Error("it exits with 0")
			}
			if !strings.Contains(output, test.want) || strings.Count(strings.TrimSpace(output), "\n") > 0 {
				t.Errorf("it prints\n%s\nwant one line with %q", output, test.want)
			}
			if written := tree(t, dir); len(written) > 0 {
				t.Errorf("it wrote %d files", len(written))
			}
		})
	}
}

// TestProtoWithoutServices checks that nothing is made of such a proto, and that this is
// not an error.
func TestProtoWithoutServices(t *testing.T) {
	tool(t, "protoc", fromProtoc)
	dir := t.TempDir() // not even a module
	write(t, filepath.Join(dir, "messages.proto"), "syntax = \"proto3\";\noption go_package = \"example.com/messages\";\nmessage Event {}\n")
	if output := run(t, dir, "protoc", "--receiver_out=.", "messages.proto"); output != "" {
		t.Errorf("it prints %s", output)
	}
	if written := tree(t, dir); len(written) > 0 {
		t.Errorf("it wrote %v", written)
	}
}

// TestServerRefusesToStart checks that the server prints one line and exits with 1.
func TestServerRefusesToStart(t *testing.T) {
	dir := t.TempDir()
	addr := startServer(t, "sqlite:"+filepath.Join(dir, "busy.db"))
	plain := filepath.Join(dir, "plain")
	write(t, plain, "no database\n")
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"address in use":           {[]string{"--addr", addr, "--events", "sqlite:" + filepath.Join(dir, "a.db")}, addr + " is in use by another program"},
		"data directory is a file": {[]string{"--events", "sqlite:" + filepath.Join(plain, "a.db")}, plain},
		"log is not a database":    {[]string{"--events", "sqlite:" + plain}, plain},
		"unknown engine":           {[]string{"--events", "mysql:x"}, `event log mysql:…: want file:… or memory:… or nats:… or sqlite:… or tls:…`},
		"public address":           {[]string{"--addr", ":50051", "--events", "memory:"}, "--insecure"},
		"unknown flag":             {[]string{"--colour"}, "-colour"},
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, "receiver-server", append([]string{"--addr", "localhost:0"}, test.args...), 1, test.want)
		})
	}
}

// TestClientReportsErrors checks that the client prints one line and exits with 1, or 2
// after a command line that can't be understood, within its timeout.
func TestClientReportsErrors(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	free.Close()
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no server":           {[]string{"receive", "--addr", nobody}, 1, "connection refused"},
		"a server that hangs": {[]string{"receive", "--addr", silent.Addr().String(), "--timeout", "1s"}, 1, "within 1s"},
		"malformed JSON":      {[]string{"receive", "--xcontext", `{"idfa":"idfa1",}`}, 2, "--xcontext: line 1, column 17: "},
		"not a number":        {[]string{"receive", "--xwhen", "noon"}, 2, "--xwhen"},
		"too large a number":  {[]string{"receive", "--xwhen", "4294967296"}, 2, "--xwhen"},
		"unknown flag":        {[]string{"receive", "--colour", "red"}, 2, "-colour"},
		"unknown command":     {[]string{"send"}, 2, `no command "send"`},
		"no command":          {nil, 2, "no command given"},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, "receiver-client", test.args, test.code, test.want) })
	}
}

// refuses checks that a program of the demo prints one line and exits with a code.
func refuses(t *testing.T, program string, args []string, code int, want string) {
	t.Helper()
	dir, err := demo()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(dir, program), args...)
	command.Dir = t.TempDir()
	output, err := command.CombinedOutput()
	if command.ProcessState.ExitCode() != code {
		t.Errorf("it ends with %v, want exit code %d", err, code)
	}
	line := strings.TrimSuffix(string(output), "\n")
	if !strings.HasPrefix(line, program+": ") || !strings.Contains(line, want) || strings.Contains(line, "\n") {
		t.Errorf("it prints\n%s\nwant one line with %q", output, want)
	}
}

// startServer starts the demo's server, which runs until the test ends, and returns its
// address.
func startServer(t *testing.T, events string) string {
	t.Helper()
	dir, err := demo()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(filepath.Join(dir, "receiver-server"), "--addr", "127.0.0.1:0", "--events", events)
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Signal(os.Interrupt)
		command.Wait()
	})
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if _, addr, ok := strings.Cut(lines.Text(), "msg=serving addr="); ok {
			go func() {
				for lines.Scan() { // otherwise the server would block on a full pipe
				}
			}()
			return strings.Fields(addr)[0]
		}
	}
	t.Fatal("the server ended before it served")
	return ""
}
