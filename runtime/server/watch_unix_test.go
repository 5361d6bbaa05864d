//go:build unix

package server

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestAPipeIsReadOnce(t *testing.T) {
	dir := t.TempDir()
	pipe, file := filepath.Join(dir, "pipe"), filepath.Join(dir, "file")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.WriteFile(file, []byte("a2"), 0o600)); err != nil {
		t.Fatal(err)
	}
	go func() { _ = os.WriteFile(pipe, []byte("a1"), 0o600) }()
	p := &pair{}
	tries := 0
	load := func(contents [][]byte) error {
		if tries++; tries == 1 {
			return errors.Join(os.WriteFile(file, []byte("a2, again"), 0o600), errors.New("not yet"))
		}
		return p.load(contents)
	}
	w, err := watch{"pair", []string{pipe, file}, load}.start(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("a3"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.lookNow()
	if p.loaded.Load() != "a1a3" {
		t.Errorf("%q is loaded, want a1a3", p.loaded.Load())
	}
}

// A pipe in place of a file that was read keeps nobody waiting: what was read stays in use.
func TestAPipeInPlaceOfAFileDoesNotEndTheWatch(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	p := &pair{}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a1")
	w, err := watch{"pair", []string{name, name}, p.load}.start(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(name), syscall.Mkfifo(name, 0o600)); err != nil {
		t.Fatal(err)
	}
	w.lookNow()
	if w.err == nil || p.loaded.Load() != "a1a1" {
		t.Errorf("error is %v, and %q is loaded, want a1a1", w.err, p.loaded.Load())
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	write("a2")
	w.lookNow()
	if w.err != nil || p.loaded.Load() != "a2a2" {
		t.Errorf("error is %v, and %q is loaded, want a2a2", w.err, p.loaded.Load())
	}
}
