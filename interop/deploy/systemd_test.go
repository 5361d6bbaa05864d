package deploy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"example.com/receiver/gen/receiverpb"
)

// analyze runs systemd-analyze, which works without systemd running.
func analyze(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("systemd-analyze is missing: apt-get install systemd")
		}
		t.Skip("systemd-analyze is missing: apt-get install systemd")
	}
	command := exec.Command("systemd-analyze", args...)
	command.Env = append(os.Environ(), "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0")
	output, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return string(output)
}

// TestUnit has systemd read the unit, with this test in the place of the program, and
// rate how exposed it is: 10 is a service without any hardening.
func TestUnit(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, dir string) {
		unit := filepath.Join(t.TempDir(), "bank-server.service")
		write(t, unit, strings.ReplaceAll(string(read(t, dir, "bank-server.service")), "/usr/local/bin/bank-server", self))
		if warned := analyze(t, "verify", "--man=no", unit); warned != "" {
			t.Errorf("systemd warns of\n%s", warned)
		}
		analyze(t, "security", "--offline=true", "--threshold=15", unit)
	})
}

// allowsItsCalls checks that the system calls of a server are those that its unit allows,
// where it runs as nobody in particular, as under systemd, which is not there to run it.
func allowsItsCalls(t *testing.T, dir, program string) {
	const user = 65532
	state := t.TempDir()
	for _, at := range []string{filepath.Dir(state), filepath.Dir(program), filepath.Dir(filepath.Dir(program))} {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(state, user, user); err != nil {
		t.Fatal(err)
	}
	trace, addr := filepath.Join(state, "trace"), free(t)
	server := exec.Command("strace", "--daemonize", "--follow-forks", "--quiet=all", "--output="+trace,
		program, "--insecure", "--addr="+addr, "--ops-addr="+free(t), "--events=sqlite:"+filepath.Join(state, "receiver.db"))
	server.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	var output bytes.Buffer
	server.Stdout, server.Stderr = &output, &output
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Process.Kill()
	client := receiverpb.NewReceiverClient(dial(t, addr))
	if err := eventually(func() error {
		_, err := client.Receive(t.Context(), &receiverpb.Event{Xwho: "jerry", Xwhat: "install"})
		return err
	}); err != nil {
		t.Fatalf("%v\n%s", err, output.String())
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, output.String())
	}
	traced := string(read(t, trace))
	allowed := allowedCalls(t, string(read(t, dir, "receiver-server.service")))
	made := map[string]bool{}
	for _, call := range regexp.MustCompile(`(?m)^\d+ +(\w+)\(`).FindAllStringSubmatch(traced, -1) {
		made[call[1]] = true
	}
	if len(made) < 20 || !made["fdatasync"] && !made["fsync"] {
		t.Fatalf("only these calls were seen: %v", made)
	}
	for call := range made {
		if !allowed[call] {
			t.Errorf("the server calls %s, which the unit does not allow", call)
		}
	}
	for _, family := range regexp.MustCompile(`socket\((AF_\w+)`).FindAllStringSubmatch(traced, -1) {
		if family[1] != "AF_INET" && family[1] != "AF_INET6" {
			t.Errorf("the server opens a socket of %s, which the unit does not allow", family[1])
		}
	}
	if strings.Contains(traced, "PROT_WRITE|PROT_EXEC") {
		t.Error("the server has memory that it can write and execute, which the unit does not allow")
	}
}

// allowedCalls returns the system calls that a unit's filters leave.
func allowedCalls(t *testing.T, unit string) map[string]bool {
	allowed := map[string]bool{}
	for _, filter := range regexp.MustCompile(`(?m)^SystemCallFilter=(~?)(.*)$`).FindAllStringSubmatch(unit, -1) {
		for set := range strings.FieldsSeq(filter[2]) {
			for _, call := range callsOf(t, set) {
				allowed[call] = filter[1] == ""
			}
		}
	}
	return allowed
}

// callsOf returns the system calls of a set, and of the sets in it.
func callsOf(t *testing.T, set string) (calls []string) {
	for line := range strings.Lines(analyze(t, "syscall-filter", set)) {
		switch line = strings.TrimSpace(line); {
		case line == set || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "@"):
			calls = append(calls, callsOf(t, line)...)
		default:
			calls = append(calls, line)
		}
	}
	return calls
}
