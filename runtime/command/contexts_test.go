package command

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

// configured runs a program with a folder for its configuration.
func configured(t *testing.T, home string, variables map[string]string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	env := Env{Program: "test-client", Args: args, Stdout: &out, Getenv: func(key string) string {
		if key == "XDG_CONFIG_HOME" {
			return home
		}
		return variables[key]
	}}
	err := Run(context.Background(), env, With([]Command{echo}, Contexts))
	return out.String(), err
}

func TestContexts(t *testing.T) {
	t.Parallel()
	var tokens []string
	server := func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		tokens = append(tokens, strings.Join(metadata.ValueFromIncomingContext(ctx, "authorization"), ","))
		return &testpb.SimpleResponse{}, nil
	}
	one, other := serve(t, server), serve(t, server)
	home := t.TempDir()
	token := writeFile(t, filepath.Join(home, "token"), "secret\n")
	file := filepath.Join(home, "test-client", "config.yaml")
	step := func(want string, args ...string) {
		t.Helper()
		out, err := configured(t, home, nil, args...)
		if err != nil || out != want {
			t.Fatalf("%s prints %q, %v; want %q", args, out, err, want)
		}
	}
	step("", "context", "set", "dev", "--addr", one, "--token-file", token)
	step("", "context", "set", "prod", "--addr", other)
	step("   NAME  ADDR\n*  dev   "+one+"\n   prod  "+other+"\n", "context", "list")
	step("", "context", "use", "prod")
	step("prod:\n  addr: "+other+"\n", "context", "show")
	step("dev:\n  addr: "+one+"\n  token-file: "+token+"\n", "context", "show", "dev")
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	call := func(want string, variables map[string]string, args ...string) {
		t.Helper()
		tokens = nil
		if _, err := configured(t, home, variables, append([]string{"echo"}, args...)...); err != nil {
			t.Fatalf("%s: %v", args, err)
		}
		if len(tokens) != 1 || tokens[0] != want {
			t.Errorf("%s sends %q, want %q", args, tokens, want)
		}
	}
	call("", nil)
	call("Bearer secret", nil, "--context", "dev")
	call("Bearer secret", map[string]string{"TEST_CLIENT_CONTEXT": "dev"})
	call("Bearer secret", nil, "--context", "dev", "--addr", one)
	call("", nil, "--context", "dev", "--addr", other) // nobody else gets the token
	call("", map[string]string{"TEST_CLIENT_ADDR": other, "TEST_CLIENT_CONTEXT": "dev"})
	call("mine", nil, "--context", "dev", "--header", "authorization=mine")
	step("", "context", "delete", "dev")
	step(`{"current":"prod","contexts":{"prod":{"addr":"`+other+`"}}}`+"\n", "context", "list", "--json")
}

// A configuration that is kept elsewhere stays there.
func TestALinkToAConfigurationStays(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	file := writeFile(t, filepath.Join(home, "kept.yaml"), "# mine\ncontexts: {}\n")
	link := filepath.Join(home, "config.yaml")
	if err := os.Symlink(file, link); err != nil {
		t.Skip(err)
	}
	for _, args := range []string{"context set dev --addr a --insecure=1", "context set dev --insecure=0"} {
		if _, err := configured(t, home, map[string]string{"TEST_CLIENT_CONFIG": link}, strings.Fields(args)...); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	info, failed := os.Lstat(link)
	if err != nil || failed != nil || info.Mode()&os.ModeSymlink == 0 || !strings.HasPrefix(string(text), "# mine\n") || !strings.Contains(string(text), "addr: a") || strings.Contains(string(text), "insecure") {
		t.Errorf("the link is %v, and the file has %q, %v", info.Mode(), text, err)
	}
}

// A file that somebody else has written controls no terminal.
func TestContextsArePrintedAsText(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	file := writeFile(t, filepath.Join(home, "config.yaml"), `contexts: {"a\e[31m\nb": {addr: "\e[31m"}, plain: {addr: "\x9b31m"}}`)
	for args, want := range map[string]string{
		"context list":        "  NAME          ADDR\n  a\\x1b[31m\\nb  \\x1b[31m\n  plain         \\u009b31m\n",
		"context show plain":  "plain:\n  addr: \\u009b31m\n",
		"context list --json": `{"current":"","contexts":{"a\u001b[31m\nb":{"addr":"\u001b[31m"},"plain":{"addr":"\u009b31m"}}}` + "\n",
	} {
		if out, err := configured(t, home, map[string]string{"TEST_CLIENT_CONFIG": file}, strings.Fields(args)...); err != nil || out != want {
			t.Errorf("%s prints %q, %v; want %q", args, out, err, want)
		}
	}
}

func TestWrongConfigurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"contexts:\n  dev:\n    adr: x\n":                          `:3:5: unknown key "adr": want one of addr, ca,`,
		"current: dev\nkontexts: {}\n":                             `:2:1: unknown key "kontexts": want current or contexts`,
		"contexts:\n  dev:\n    addr: x\n    addr: y\n":            ":4:5: addr is in line 3, too",
		"contexts:\n  dev:\n    insecure: maybe\n":                 ":3:15: insecure: want true or false",
		"contexts:\n  dev:\n    addr: [x]\n":                       ":3:11: addr: want one value",
		"contexts: dev\n":                                          ":1:11: want lines with the names of contexts",
		"current: dev\n":                                           `no context "dev": `,
		"a: b: c\n":                                                ":1:5: it can't be read as YAML",
		"contexts:\n  dev: {addr: x, insecure: true, ca: y.pem}\n": "",
	} {
		home := t.TempDir()
		file := writeFile(t, filepath.Join(home, "config.yaml"), text)
		_, err := configured(t, home, map[string]string{"TEST_CLIENT_CONFIG": file}, "echo")
		if want == "" {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || exitCode(err) != exitMisused {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	home := t.TempDir()
	open := writeFile(t, filepath.Join(home, "config.yaml"), "contexts: {}\n")
	if runtime.GOOS != "windows" {
		if err := os.Chmod(open, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := configured(t, home, nil, "echo", "--config", open); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("a file that others can write: %v", err)
		}
	}
	for args, want := range map[string]string{
		"context use none":                         `context set NAME --addr HOST:PORT makes one`,
		"context set x":                            "needs --addr",
		"context set x\x1b[31m --addr y":           "can't be the name",
		"context set x --addr y --tls-cert z":      "belong together",
		"context set x --addr y --insecure --ca z": "excludes",
		"context set x --addr y --insecure=maybe":  "want true or false",
		"context rename x":                         `context has no "rename"`,
		"context use":                              "want one name",
		"context show":                             "no context is the current one",
		"echo --context none":                      `no context "none"`,
		"echo --config " + home + "/none.yaml":     "no such file",
	} {
		if _, err := configured(t, t.TempDir(), nil, strings.Fields(args)...); !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}
