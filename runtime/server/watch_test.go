package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// pair is what is loaded in these tests: two files that must begin alike.
type pair struct {
	loaded atomic.Value // string
	calls  int
}

func (p *pair) load(contents [][]byte) error {
	p.calls++
	first, second := string(contents[0]), string(contents[1])
	if first == "" || first[0] != second[0] {
		return fmt.Errorf("%q does not fit %q", first, second)
	}
	p.loaded.Store(first + second)
	return nil
}

// watching is what a test does to the files of a watch, whose clock is its own.
type watchingFiles struct {
	*testing.T
	*watched
	pair *pair
	text *strings.Builder
	now  time.Time
}

func watchPair(t *testing.T, first, second string) *watchingFiles {
	t.Helper()
	dir := t.TempDir()
	w := &watchingFiles{T: t, pair: &pair{}, text: &strings.Builder{}, now: time.Now()}
	files := []string{filepath.Join(dir, "first"), filepath.Join(dir, "second")}
	for i, content := range []string{first, second} {
		if err := os.WriteFile(files[i], []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	w.watched, err = watch{"pair", files, w.pair.load}.start(slog.New(slog.NewTextHandler(w.text, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *watchingFiles) write(i int, content string) {
	w.Helper()
	if err := os.WriteFile(w.files[i], []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
}

// pass lets time pass, as the watch sees it.
func (w *watchingFiles) pass(d time.Duration) {
	for range d / watchInterval {
		w.now = w.now.Add(watchInterval)
		w.look(w.now)
	}
}

func (w *watchingFiles) want(loaded string, reloads, failures int64) {
	w.Helper()
	got := FileStats{w.reloads.Load(), w.failures.Load()}
	if w.pair.loaded.Load() != loaded || got != (FileStats{reloads, failures}) {
		w.Errorf("%q is loaded and the counts are %+v, want %q and %d, %d; the log is\n%s",
			w.pair.loaded.Load(), got, loaded, reloads, failures, w.text)
	}
	if warnings := int64(strings.Count(w.text.String(), "level=WARN")); warnings != failures {
		w.Errorf("%d warnings, want %d:\n%s", warnings, failures, w.text)
	}
}

func TestFilesAreLoadedWhenTheirContentChanges(t *testing.T) {
	w := watchPair(t, "a1", "a2")
	w.want("a1a2", 0, 0)
	w.write(0, "a3")
	w.pass(watchInterval)
	w.want("a1a2", 0, 0) // perhaps half-written
	w.pass(watchInterval)
	w.want("a3a2", 1, 0)
	w.write(0, "a3") // touched
	w.pass(time.Minute)
	w.want("a3a2", 1, 0)
	if w.pair.calls != 2 {
		t.Errorf("load was called %d times, want 2", w.pair.calls)
	}
	// As Kubernetes does it: links to links, of which one is replaced.
	dir := filepath.Dir(w.files[0])
	for name, content := range map[string]string{"..1/first": "b1", "..1/second": "b2", "..2/first": "c1", "..2/second": "c2"} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	link(t, "..1", filepath.Join(dir, "..data"))
	link(t, "..data/first", w.files[0])
	link(t, "..data/second", w.files[1])
	w.pass(2 * watchInterval)
	w.want("b1b2", 2, 0)
	link(t, "..2", filepath.Join(dir, "..data"))
	w.pass(2 * watchInterval)
	w.want("c1c2", 3, 0)
}

// link replaces what is at a path by a link, at one moment.
func link(t *testing.T, to, path string) {
	t.Helper()
	if err := errors.Join(os.Symlink(to, path+".new"), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
}

func TestFilesMayBeReplacedOneAfterTheOther(t *testing.T) {
	w := watchPair(t, "a1", "a2")
	w.write(0, "b1")
	w.pass(watchGrace - watchInterval)
	w.want("a1a2", 0, 0)
	w.write(1, "b2")
	w.pass(time.Minute)
	w.want("b1b2", 1, 0)
}

func TestFilesThatStayWrongAreReportedOnce(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*watchingFiles)
		says  string
	}{
		"mismatch": {func(w *watchingFiles) { w.write(0, "b1") }, `does not fit`},
		"empty":    {func(w *watchingFiles) { w.write(0, "") }, `does not fit`},
		"deleted":  {func(w *watchingFiles) { os.Remove(w.files[1]) }, "second: no such file or directory"},
		"too large": {func(w *watchingFiles) {
			if err := os.Truncate(w.files[1], maxWatchedBytes+1); err != nil {
				w.Fatal(err)
			}
		}, "second: the file is larger than 16 MiB"},
		"a folder": {func(w *watchingFiles) { _ = errors.Join(os.Remove(w.files[1]), os.Mkdir(w.files[1], 0o700)) }, "second: is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			w := watchPair(t, "a1", "a2")
			test.spoil(w)
			w.pass(watchGrace)
			w.want("a1a2", 0, 0)
			w.pass(time.Minute)
			w.want("a1a2", 0, 1)
			if !strings.Contains(w.text.String(), test.says) || !strings.Contains(w.text.String(), "of=pair") {
				t.Errorf("the log has no %q:\n%s", test.says, w.text)
			}
			_ = os.Remove(w.files[1])
			w.write(0, "c1")
			w.write(1, "c2")
			w.pass(time.Minute)
			w.want("c1c2", 1, 1)
		})
	}
}

func TestFilesMayBeReplacedWhileTheyAreReadAtFirst(t *testing.T) {
	w := watchPair(t, "a1", "a2")
	w.write(0, "b1")
	load := w.load
	w.load = func(contents [][]byte) error {
		w.write(1, "b2")
		return load(contents)
	}
	if _, err := w.start(w.log); err != nil {
		t.Fatal(err)
	}
	w.want("b1b2", 0, 0)
}

func TestWrongFilesAreTriedAgain(t *testing.T) {
	w := watchPair(t, "a1", "a2")
	early := errors.New("not yet")
	load := w.load
	w.load = func(contents [][]byte) error {
		if early != nil {
			return early
		}
		return load(contents)
	}
	w.write(0, "a3")
	w.pass(watchRetry)
	w.want("a1a2", 0, 1)
	early = nil
	w.pass(watchRetry)
	w.want("a3a2", 1, 1)
}

// Each bad content is worth a line, but not each look at it.
func TestOtherWrongFilesAreReportedAgain(t *testing.T) {
	w := watchPair(t, "a1", "a2")
	w.write(0, "b1")
	w.pass(time.Minute)
	w.write(0, "c1")
	w.pass(time.Minute)
	w.want("a1a2", 0, 2)
	w.write(0, "a1") // as before
	w.pass(time.Minute)
	w.want("a1a2", 1, 2)
	w.write(0, "b1")
	w.pass(time.Minute)
	w.want("a1a2", 1, 3)
}

func TestALookNowWaitsForNothing(t *testing.T) {
	w := watchPair(t, "a1", "a2")
	w.lookNow()
	w.want("a1a2", 0, 0)
	w.write(0, "a3")
	w.lookNow()
	w.want("a3a2", 1, 0)
	w.write(0, "b3")
	w.lookNow()
	w.want("a3a2", 1, 1)
	w.pass(time.Minute)
	w.want("a3a2", 1, 1)
	w.lookNow() // the same again, for whoever asks
	w.want("a3a2", 1, 2)
}

func TestAServerLoadsFilesBeforeItListens(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	_, err := Listen(free(), tested(&service{}), Watch("keys", []string{missing}, func([][]byte) error { return nil }))
	oneLine(t, err, "keys", missing, "no such file")
	_, err = Listen(free(), tested(&service{}), Watch("keys", nil, func([][]byte) error { return errors.New("--keys: no key") }))
	oneLine(t, err, "--keys: no key")
}

func TestAServerWatchesFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write := func(content string) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loaded := make(chan string, 10)
	load := func(contents [][]byte) error { loaded <- string(contents[0]); return nil }
	next := func(want string) {
		t.Helper()
		select {
		case got := <-loaded:
			if got != want {
				t.Errorf("%q was loaded, want %q", got, want)
			}
		case <-time.After(testTimeout):
			t.Fatalf("%q was not loaded", want)
		}
	}
	write("one")
	running := serve(t, free(), tested(&service{}), Watch("keys", []string{file}, load))
	next("one")
	write("two")
	next("two")
	running.stop()
	if err := running.end(t); err != nil {
		t.Error(err)
	}
	if got := running.Stats().Files["keys"]; got != (FileStats{Reloads: 1}) {
		t.Errorf("the counts are %+v", got)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := WatchFiles(ctx, "keys", []string{file}, load); err != nil {
		t.Fatal(err)
	}
	next("two")
	write("three")
	next("three")
	if err := WatchFiles(ctx, "keys", []string{file + "s"}, load); err == nil || !strings.Contains(err.Error(), file+"s") {
		t.Errorf("a missing file: %v", err)
	}
}

func TestAServerEndsWhenNoFileIsStillBeingLoaded(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	loading, loaded := make(chan string, 2), make(chan struct{})
	running := serve(t, free(), tested(&service{}), Watch("keys", []string{file}, func(contents [][]byte) error {
		if loading <- string(contents[0]); string(contents[0]) == "two" {
			<-loaded
		}
		return nil
	}))
	if err := os.WriteFile(file, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	for got := ""; got != "two"; {
		got = <-loading
	}
	running.stop()
	select {
	case err := <-running.ended:
		t.Errorf("the server ended with %v while a file was being loaded", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(loaded)
	if err := running.end(t); err != nil {
		t.Error(err)
	}
	if got := running.Stats().Files["keys"]; got != (FileStats{Reloads: 1}) {
		t.Errorf("the counts are %+v", got)
	}
}

func TestAHangUpAsksForALookAtFilesAndEndsNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "watching "+file)
	p.waitForLog(t, "msg=loaded content=one")
	call, finish := p.work(t)
	p.signal(t, syscall.SIGHUP)
	p.waitForLog(t, `msg="files have not changed" of=file`)
	if err := os.WriteFile(file, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(t, syscall.SIGHUP)
	p.waitForLog(t, "msg=loaded content=two")
	p.signal(t, syscall.SIGTERM)
	waitUntilClosed(t, p.addr)
	time.Sleep(secondSignal)
	p.signal(t, syscall.SIGHUP)
	finish()
	if err := <-call; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	if err := p.end(t); err != nil {
		t.Errorf("every call could finish, but the error is %v", err)
	}
}
