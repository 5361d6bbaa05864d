package watch

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// protos returns the set of the .proto files below a folder, links to files among them.
func protos(dir string) func() Set {
	return func() Set {
		set := Set{Folders: []string{dir}, Belongs: func(path string) bool { return filepath.Ext(path) == ".proto" }}
		_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
			case entry.IsDir():
				set.Folders = append(set.Folders, path)
			case filepath.Ext(path) == ".proto":
				set.Files = append(set.Files, path)
				if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
					set.Files, set.Folders = append(set.Files, real), append(set.Folders, filepath.Dir(real))
				}
			}
			return nil
		})
		return set
	}
}

// must fails the test if there is an error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644))
}

// saves are ways in which programs save files. Each changes the folder dir, where there
// are a.proto and deep/er/b.proto, and link.proto, which leads to c.proto in the folder
// elsewhere. They are done one after the other.
var saves = []struct {
	name string
	save func(t *testing.T, dir, elsewhere string)
}{
	{"in place", func(t *testing.T, dir, _ string) { write(t, dir+"/a.proto", "in place") }},
	{"truncated first", func(t *testing.T, dir, _ string) {
		file, err := os.Create(dir + "/a.proto")
		must(t, err)
		time.Sleep(2 * quiet) // long enough that the empty file comes to rest
		_, err = file.WriteString("truncated first")
		must(t, err, file.Close())
	}},
	{"under another name, then renamed", func(t *testing.T, dir, _ string) {
		write(t, dir+"/.a.proto.tmp", "renamed")
		must(t, os.Rename(dir+"/.a.proto.tmp", dir+"/a.proto"))
	}},
	{"with a backup", func(t *testing.T, dir, _ string) {
		must(t, os.Rename(dir+"/a.proto", dir+"/a.proto~"))
		time.Sleep(2 * quiet)
		write(t, dir+"/a.proto", "with a backup")
		must(t, os.Remove(dir+"/a.proto~"))
	}},
	{"with the same size and time", func(t *testing.T, dir, _ string) {
		info, err := os.Stat(dir + "/a.proto")
		must(t, err)
		write(t, dir+"/a.proto", "With a backup")
		must(t, os.Chtimes(dir+"/a.proto", info.ModTime(), info.ModTime()))
	}},
	{"deep down", func(t *testing.T, dir, _ string) { write(t, dir+"/deep/er/b.proto", "deep down") }},
	{"a new file", func(t *testing.T, dir, _ string) { write(t, dir+"/new.proto", "new") }},
	{"an empty file", func(t *testing.T, dir, _ string) { write(t, dir+"/empty.proto", "") }},
	{"a new folder", func(t *testing.T, dir, _ string) { write(t, dir+"/x/y/z/new.proto", "new") }},
	{"in the new folder", func(t *testing.T, dir, _ string) { write(t, dir+"/x/y/z/new.proto", "changed") }},
	{"a folder renamed", func(t *testing.T, dir, _ string) { must(t, os.Rename(dir+"/x", dir+"/w")) }},
	{"in the renamed folder", func(t *testing.T, dir, _ string) { write(t, dir+"/w/y/z/new.proto", "changed again") }},
	{"a folder moved in", func(t *testing.T, dir, elsewhere string) {
		write(t, elsewhere+"/moved/d.proto", "moved")
		must(t, os.Rename(elsewhere+"/moved", dir+"/moved"))
	}},
	{"in the folder moved in", func(t *testing.T, dir, _ string) { write(t, dir+"/moved/d.proto", "changed") }},
	{"a folder made again", func(t *testing.T, dir, _ string) {
		must(t, os.RemoveAll(dir+"/moved"))
		write(t, dir+"/moved/d.proto", "made again")
	}},
	{"in the folder made again", func(t *testing.T, dir, _ string) { write(t, dir+"/moved/d.proto", "changed again") }},
	{"behind a link", func(t *testing.T, _, elsewhere string) { write(t, elsewhere+"/c.proto", "behind a link") }},
	{"a link to another file", func(t *testing.T, dir, elsewhere string) {
		write(t, elsewhere+"/other/c.proto", "another file")
		must(t, os.Remove(dir+"/link.proto"), os.Symlink(elsewhere+"/other/c.proto", dir+"/link.proto"))
	}},
	{"all made again", func(t *testing.T, dir, _ string) {
		must(t, os.RemoveAll(dir))
		write(t, dir+"/a.proto", "all made again")
	}},
	{"then in place", func(t *testing.T, dir, _ string) { write(t, dir+"/a.proto", "then in place") }},
	{"all moved away and back", func(t *testing.T, dir, elsewhere string) {
		must(t, os.Rename(dir, elsewhere+"/away"))
		write(t, elsewhere+"/away/a.proto", "and back")
		must(t, os.Rename(elsewhere+"/away", dir))
	}},
	{"then in place again", func(t *testing.T, dir, _ string) { write(t, dir+"/a.proto", "then in place again") }},
}

// leaves are those of the saves after which files are gone for good.
var leaves = map[string]bool{"a folder renamed": true, "a link to another file": true, "all made again": true}

func TestEverySaveIsSeen(t *testing.T) {
	defer func(a, b time.Duration) { patience, fastest = a, b }(patience, fastest)
	fastest = quiet
	for name, poll := range map[string]bool{"woken": false, "polling": true} {
		t.Run(name, func(t *testing.T) {
			above, elsewhere := real(t), real(t)
			dir := filepath.Join(above, "protos")
			write(t, dir+"/a.proto", "a")
			write(t, dir+"/deep/er/b.proto", "b")
			write(t, elsewhere+"/c.proto", "c")
			must(t, os.Symlink(elsewhere+"/c.proto", dir+"/link.proto"))
			watcher := New(protos(dir), poll)
			defer watcher.Close()
			state := watcher.Look()
			if (watcher.Polls() != "") != poll {
				t.Fatalf("it polls: %q", watcher.Polls())
			}
			for _, way := range saves {
				patience = time.Minute
				if leaves[way.name] {
					patience = quiet
				}
				done := make(chan State)
				go func() { done <- next(t, watcher, state) }()
				way.save(t, dir, elsewhere)
				for state = <-done; !state.Same(New(protos(dir), true).Look()); { // half of what was saved
					state = next(t, watcher, state)
				}
			}
		})
	}
}

// next waits for the state after another.
func next(t *testing.T, watcher *Watcher, state State) State {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	next, err := watcher.Wait(ctx, state)
	if err != nil {
		t.Error("a save was not seen")
	}
	return next
}

// real returns a new folder by a path without links.
func real(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	return dir
}

func TestManySavesEndInTheLastState(t *testing.T) {
	dir := real(t)
	write(t, dir+"/a.proto", "0")
	watcher := New(protos(dir), false)
	defer watcher.Close()
	state := watcher.Look()
	for i := range 200 {
		write(t, dir+"/a.proto", strings.Repeat("x", i))
	}
	for want := New(protos(dir), true).Look(); !state.Same(want); {
		state = next(t, watcher, state)
	}
}

// A file that is gone or empty is about to be saved.
func TestFilesAreNotTakenForGoneWhileTheyAreSaved(t *testing.T) {
	defer func(before time.Duration) { patience = before }(patience)
	patience = time.Minute
	for name, gone := range map[string]func(path string) error{
		"removed":   os.Remove,
		"truncated": func(path string) error { return os.Truncate(path, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := real(t)
			path := filepath.Join(dir, "a.proto")
			write(t, path, "before")
			watcher := New(protos(dir), false)
			defer watcher.Close()
			state := watcher.Look()
			must(t, gone(path))
			go func() {
				time.Sleep(4 * quiet)
				_ = os.WriteFile(path, []byte("after"), 0o644)
			}()
			if state = next(t, watcher, state); state[path].info == nil || state[path].info.Size() != 5 {
				t.Errorf("it is taken for %s", name)
			}
		})
	}
}

func TestItPollsWhereTheSystemReportsNothing(t *testing.T) {
	for want, set := range map[string]func(){
		"the system can't report changes: too many open files": func() {
			newWatcher = func() (*fsnotify.Watcher, error) { return nil, syscall.EMFILE }
		},
		"sub: no space left on device": func() {
			add = func(w *fsnotify.Watcher, path string) error {
				if filepath.Base(path) == "sub" {
					return syscall.ENOSPC
				}
				return w.Add(path)
			}
		},
		"is on a file system (nfs) that other machines may write to": func() {
			remote = func(path string) string {
				if filepath.Base(path) == "sub" {
					return "nfs"
				}
				return ""
			}
		},
	} {
		t.Run(want, func(t *testing.T) {
			defer func(a func() (*fsnotify.Watcher, error), b func(*fsnotify.Watcher, string) error, c func(string) string) {
				newWatcher, add, remote = a, b, c
			}(newWatcher, add, remote)
			set()
			dir := real(t)
			write(t, dir+"/a.proto", "a")
			watcher := New(protos(dir), false)
			defer watcher.Close()
			state := watcher.Look()
			must(t, os.Mkdir(dir+"/sub", 0o755)) // from now on it polls, if not before
			write(t, dir+"/sub/b.proto", "b")
			state = next(t, watcher, state)
			if !strings.Contains(watcher.Polls(), want) {
				t.Errorf("it polls because %q, want %q", watcher.Polls(), want)
			}
			write(t, dir+"/a.proto", "again")
			write(t, dir+"/sub/b.proto", "again")
			for want := New(protos(dir), true).Look(); !state.Same(want); {
				state = next(t, watcher, state)
			}
		})
	}
}

func TestEventsThatMatter(t *testing.T) {
	dir := real(t)
	write(t, dir+"/sub/a.proto", "a")
	write(t, dir+"/go.mod", "module a")
	must(t, os.Mkdir(dir+"/new", 0o755), os.Symlink(dir+"/sub", dir+"/link"))
	watcher := New(func() Set {
		set := protos(dir + "/sub")()
		set.Files, set.Folders = append(set.Files, dir+"/go.mod"), append(set.Folders, dir)
		return set
	}, false)
	defer watcher.Close()
	watcher.Look()
	for _, test := range []struct {
		name string
		op   fsnotify.Op
		want bool
	}{
		{"sub/a.proto", fsnotify.Write, true},
		{"sub/a.proto", fsnotify.Chmod, true},
		{"sub/other.proto", fsnotify.Create, true},
		{"go.mod", fsnotify.Rename, true},
		{"new", fsnotify.Create, true},
		{"link", fsnotify.Create, true},
		{"sub", fsnotify.Remove, true},
		{"go.sum", fsnotify.Write, false},
		{"sub/a.pb.go", fsnotify.Create, false},
		{"sub/a.pb.go", fsnotify.Remove, false},
		{"sub/.protoc-gen-receiver-1", fsnotify.Rename, false},
		{"events.db", fsnotify.Write, false},
		{"new", fsnotify.Chmod, false},
	} {
		if got := watcher.matters(fsnotify.Event{Name: filepath.Join(dir, test.name), Op: test.op}); got != test.want {
			t.Errorf("%s %s matters: %v, want %v", test.op, test.name, got, test.want)
		}
	}
}

func TestFilesAreReadUntilTheirTimesCanBeTrusted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.proto")
	write(t, path, "one")
	first := look(path, entry{})
	write(t, path, "two")
	must(t, os.Chtimes(path, first.info.ModTime(), first.info.ModTime()))
	if second := look(path, first); second.sum == first.sum {
		t.Error("it was not read again, though it may have been written at the same time")
	}
	first.read = first.seen.Add(step)
	if second := look(path, first); second.sum != first.sum {
		t.Error("it was read again, though its size and time are old and the same")
	}
}

func TestStates(t *testing.T) {
	dir := t.TempDir()
	set := func() Set {
		return Set{Files: []string{dir + "/a", dir + "/b"}, Folders: []string{dir}, Belongs: func(string) bool { return false }}
	}
	write(t, dir+"/a", "one")
	watcher := New(set, true)
	before := watcher.Look()
	must(t, os.Chtimes(dir+"/a", time.Time{}, time.Now().Add(time.Hour)))
	if after := watcher.Look(); !after.Same(before) || after.Untouched(before) {
		t.Error("a file that was written with its content is the same, and was touched")
	}
	before = watcher.Look()
	write(t, dir+"/a", "two")
	after := watcher.Look()
	if after.Same(before) || after.Untouched(before) {
		t.Error("a changed file is not the same")
	}
	if !after.Untouched(before.Wrote(dir+"/a", []byte("two"), after)) {
		t.Error("what the process wrote itself counts as a change")
	}
	before = watcher.Look()
	write(t, dir+"/a", "three")
	if after := watcher.Look(); after.Untouched(before.Wrote(dir+"/a", []byte("two"), after)) {
		t.Error("a change after what the process wrote does not count")
	}
	before = watcher.Look()
	write(t, dir+"/b", "")
	if after := watcher.Look(); after.Same(before) || before.Same(after) {
		t.Error("a new file does not count if it is empty")
	}
}
