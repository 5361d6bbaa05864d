package sqlite

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// A device that is full must not end the service, nor lose what is stored, and
// once there is room the log works again, also if nobody asks it to.
func TestDeviceIsFullForATime(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	log := mustOpen(t, "sqlite:"+filepath.Join(dir, "events.db"))
	var stored []string
	large := func(i int) eventlog.Event {
		one := event(fmt.Sprint(i))
		one.Data = []byte(strings.Repeat("x", 50_000))
		return one
	}
	var full error
	for i := 0; full == nil && i < 100; i++ {
		if _, full = log.Append(t.Context(), large(i)); full == nil {
			stored = append(stored, fmt.Sprint(i))
		}
	}
	if !errors.Is(full, eventlog.ErrFull) {
		t.Fatalf("got %v, want that the log is full", full)
	}
	if err := log.Check(t.Context()); !errors.Is(err, eventlog.ErrFull) {
		t.Errorf("check: %v, want that the log is full", err)
	}
	if got := ids(mustRead(t, log, 0)); !slices.Equal(got, stored) {
		t.Errorf("stored %v, want %v", got, stored)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	await(t, "the log is well", func() bool { return log.Check(t.Context()) == nil })
	if mustAppend(t, log, large(0))[0].Duplicate != true || mustAppend(t, log, large(1000))[0].Duplicate {
		t.Error("want the first to be a duplicate and the last to be new")
	}
	if got := ids(mustRead(t, log, 0)); !slices.Equal(got, append(stored, "1000")) {
		t.Errorf("stored %v, want %v and 1000", got, stored)
	}
}

// overwrite writes into a file from another process: in this one, closing the
// file would end SQLite's locks.
func overwrite(t *testing.T, path, content string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "dd", "if="+content, "of="+path, "bs=4096", "seek=1", "conv=notrunc", "status=none")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
}

func TestFileIsDamagedForATime(t *testing.T) {
	log := mustOpen(t, newURL(t))
	for i := range 50 {
		mustAppend(t, log, event(fmt.Sprint("a", i)), event(fmt.Sprint("b", i)))
	}
	path := log.path
	mustClose(t, log)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	backup, garbage := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "garbage")
	for name, content := range map[string][]byte{backup: content[4096:], garbage: slices.Repeat([]byte("garbage!"), (len(content)-4096)/8)} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log = mustOpen(t, "sqlite:"+path)
	overwrite(t, path, garbage)
	if _, err := log.Append(t.Context(), event("c")); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("append: %v, want that the log is unavailable", err)
	}
	var read error
	for _, read = range log.Read(t.Context(), eventlog.From{}) {
	}
	if !errors.Is(read, eventlog.ErrUnavailable) {
		t.Errorf("read: %v, want that the log is unavailable", read)
	}
	if err := log.Check(t.Context()); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("check: %v, want that the log is unavailable", err)
	}
	overwrite(t, path, backup)
	await(t, "the log is well", func() bool { return log.Check(t.Context()) == nil })
	if mustAppend(t, log, event("c"))[0].Duplicate || !mustAppend(t, log, event("a7"))[0].Duplicate {
		t.Error("want c to be new and a7 to be a duplicate")
	}
	if got := len(mustRead(t, log, 0)); got != 101 {
		t.Errorf("%d events, want 101", got)
	}
}
