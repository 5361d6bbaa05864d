package compile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
)

// killAt is the variable of the environment by which a process of these tests runs
// generate in its folder, and is killed at that change of the disk.
const killAt = "KILL_GENERATE_AT"

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // a run is short, and there are many
	if at, err := strconv.Atoi(os.Getenv(killAt)); err == nil {
		compile.SetStep(func() error {
			if at--; at == 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
			return nil
		})
		if err := compile.Generate(context.Background(), compile.Options{}, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Protos of a service that grows, and of another one that comes later.
const (
	pays = "syntax = \"proto3\"; package pay.v1; option go_package = \"example.com/pay/gen/payv1\";\n" +
		"message PayEvent { string event_type = 1; string source = 2; }\nmessage Reply { string message = 1; }\n" +
		"service Pays { rpc Take(PayEvent) returns (Reply); }\n"
	refunds = "service Refunds { rpc Give(PayEvent) returns (Reply); }\n"
)

var paysMore = strings.Replace(pays, "service Pays {", "service Pays { rpc Undo(PayEvent) returns (Reply);", 1) + refunds

// TestTheNextRunCompletesOneThatWasKilled kills generate at each change of the disk, or
// has it find the disk full there. The next run makes the module whole, without a
// temporary file, and nothing is written or deleted that would not be otherwise.
func TestTheNextRunCompletesOneThatWasKilled(t *testing.T) {
	toolsOnPath(t)
	const deleted = "internal/pay/v1/pays/take_test.go"
	first, later := t.TempDir(), t.TempDir()
	for _, root := range []string{first, later} {
		writeFile(t, filepath.Join(root, "go.mod"), "module example.com/pay\n\ngo 1.26.0\n")
	}
	writeFile(t, filepath.Join(later, "pay.proto"), pays)
	generateIn(t, later)
	if err := os.Remove(filepath.Join(later, deleted)); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(first, "pay.proto"), pays)
	writeFile(t, filepath.Join(later, "pay.proto"), paysMore)
	for name, base := range map[string]string{"a first run": first, "a later run": later} {
		t.Run(name, func(t *testing.T) {
			whole := copied(t, base)
			steps := 0
			compile.SetStep(func() error { steps++; return nil })
			generateIn(t, whole)
			compile.SetStep(func() error { return nil })
			want := contents(t, whole)
			if steps < 40 || want[deleted] != "" && base == later {
				t.Fatalf("%d changes of the disk, and the deleted test is %q", steps, want[deleted])
			}
			for at := 1; at <= steps; at++ {
				if at%killEvery() != 0 {
					continue
				}
				isFull, isKilled := copied(t, base), copied(t, base)
				full(t, isFull, at, at > steps/2)
				killed(t, isKilled, at)
				for how, root := range map[string]string{"stopped by a full disk": isFull, "killed": isKilled} {
					generateIn(t, root)
					if got := contents(t, root); !maps.Equal(got, want) {
						t.Errorf("%s at change %d of %d, the next run leaves %q", how, at, steps, slices.Sorted(maps.Keys(got)))
					}
				}
			}
		})
	}
}

// killEvery returns at which changes of the disk a run is killed: at each with CUTOFF=all,
// which takes minutes, since there are as many as files; otherwise at some.
func killEvery() int {
	switch {
	case os.Getenv("CUTOFF") == "all":
		return 1
	case testing.Short():
		return 31
	}
	return 17
}

// full runs generate on a disk that is full at one change of it. While files get their
// temporary names, nothing is written then; later, the error says how many were.
func full(t *testing.T, root string, at int, some bool) {
	t.Helper()
	before := contents(t, root)
	compile.SetStep(func() error {
		if at--; at == 0 {
			return syscall.ENOSPC
		}
		return nil
	})
	defer compile.SetStep(func() error { return nil })
	err := compile.Generate(context.Background(), asked([]string{"--receiver_opt=root=" + root, "-I", root}), io.Discard, io.Discard)
	if !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "Nothing was written") == some || strings.Contains(err.Error(), " were written: run it again for the rest") != some {
		t.Errorf("on a full disk the error is %v", err)
	}
	after := contents(t, root)
	for name := range after {
		if strings.Contains(name, ".protoc-gen-receiver") {
			t.Errorf("on a full disk it leaves %s", name)
		}
	}
	if !some && !maps.Equal(before, after) {
		t.Errorf("on a full disk it writes %d files, though it says that it wrote nothing", len(after)-len(before))
	}
}

// killed runs generate in a process of its own, which is killed at one change of the disk.
func killed(t *testing.T, root string, at int) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Dir, command.Env = root, append(os.Environ(), killAt+"="+strconv.Itoa(at))
	output, err := command.CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || !exit.Sys().(syscall.WaitStatus).Signaled() {
		t.Fatalf("it is not killed: %v\n%s", err, output)
	}
}

// copied returns a copy of a module.
func copied(t *testing.T, base string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS(base)); err != nil {
		t.Fatal(err)
	}
	return root
}

func generateIn(t *testing.T, root string) {
	t.Helper()
	var stderr bytes.Buffer
	if err := compile.Generate(context.Background(), asked([]string{"--receiver_opt=root=" + root, "-I", root}), io.Discard, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
}
