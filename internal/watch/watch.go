// Package watch waits until files have other contents than before, however they were
// saved. It asks the operating system to be woken, and where that does not work it looks
// again and again.
//
// Being woken only means to look: what counts is what is on disk then. So it does not
// matter which events an editor causes, in which order, or whether some are lost.
package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A Set says which files count. All paths are absolute.
type Set struct {
	Files []string // also those that do not exist yet
	// Folders are where files may be made that belong to the set then. One that does
	// not exist may be made, too.
	Folders []string
	// Belongs reports whether a file belongs to the set that may be new.
	Belongs func(path string) bool
}

const (
	quiet  = 25 * time.Millisecond // for which nothing changes after files were saved
	unrest = 2 * time.Second       // after which files are taken as they are, though they still change

	slowest = 2 * time.Second // between two looks, without events
	share   = 50              // the time of a look is at most one part in so many
)

// Tests change these.
var (
	// patience is what quiet is where a file is gone or empty: often it is about to be saved.
	patience = 500 * time.Millisecond
	// fastest is the least time between two looks, without events.
	fastest = 200 * time.Millisecond
)

// Watcher watches the files of a set.
type Watcher struct {
	list  func() Set
	known map[string]entry // by path, to read again only what may have changed

	why     string // it has no events; "" if it has
	took    time.Duration
	events  *fsnotify.Watcher
	folders map[string]os.FileInfo // that events are about
	woken   chan struct{}
	renew   atomic.Bool // whether a folder was removed or made, or events were lost
	index   atomic.Pointer[index]
}

// index is what events are compared with.
type index struct {
	files, folders map[string]bool
	belongs        func(path string) bool
}

// New returns a watcher of the set that list returns, which is called for each look.
// With poll it uses no events.
func New(list func() Set, poll bool) *Watcher {
	w := &Watcher{list: list, known: map[string]entry{}, woken: make(chan struct{}, 1)}
	if poll {
		w.why = "as asked for"
	}
	return w
}

// Polls returns why the watcher looks again and again instead of being woken; "" if it
// does not.
func (w *Watcher) Polls() string { return w.why }

// Close releases what the operating system keeps for the watcher.
func (w *Watcher) Close() error {
	if w.events == nil {
		return nil
	}
	return w.events.Close()
}

// Look returns the present state of the files. Each change after that ends a [Watcher.Wait].
func (w *Watcher) Look() State {
	began := time.Now()
	set := w.list()
	for range 5 { // folders may be made while they are looked through
		if !w.follow(set) {
			break
		}
		set = w.list() // what was made before the events began
	}
	state := State{}
	known := make(map[string]entry, len(set.Files))
	for _, path := range set.Files {
		known[path] = look(path, w.known[path])
		state[path] = known[path]
	}
	w.known, w.took = known, time.Since(began)
	return state
}

// Wait returns the state of the files once they differ from a former state and have come
// to rest. Its error is that of ctx.
func (w *Watcher) Wait(ctx context.Context, former State) (State, error) {
	for {
		if err := w.wake(ctx); err != nil {
			return nil, err
		}
		state := w.Look()
		if state.Same(former) {
			continue
		}
		state, err := w.settle(ctx, state, former)
		if err != nil || !state.Same(former) {
			return state, err
		}
	}
}

// wake waits until it is time to look.
func (w *Watcher) wake(ctx context.Context) error {
	var tick <-chan time.Time
	if w.why != "" {
		tick = time.After(min(max(w.took*share, fastest), slowest))
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-w.woken:
	case <-tick:
	}
	return nil
}

// Settle returns the state of the files once they have come to rest.
func (w *Watcher) Settle(ctx context.Context, state State) (State, error) {
	return w.settle(ctx, state, state)
}

// settle returns the state of the files after nothing has changed for a while.
func (w *Watcher) settle(ctx context.Context, state, former State) (State, error) {
	began := time.Now()
	changed := began
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(quiet):
		}
		next, now := w.Look(), time.Now()
		if !next.Untouched(state) {
			changed = now
		}
		state = next
		pause := quiet
		if state.lacks(former) {
			pause = patience
		}
		if now.Sub(changed) >= pause || now.Sub(began) >= max(unrest, pause) {
			return state, nil
		}
	}
}

// follow asks for events about the folders of a set. It reports whether it had to ask
// again: what happened before that is not among the events.
func (w *Watcher) follow(set Set) (asked bool) {
	if w.why != "" {
		return false
	}
	folders := map[string]os.FileInfo{}
	for _, path := range set.Folders {
		at, info := existing(path)
		folders[at] = info
	}
	now := &index{files: map[string]bool{}, folders: map[string]bool{}, belongs: set.Belongs}
	for _, path := range set.Files {
		now.files[path] = true
	}
	for path := range folders {
		now.folders[path] = true
	}
	w.index.Store(now)
	if !w.renew.Swap(false) && sameFolders(folders, w.folders) {
		return false
	}
	// A new watcher for all of them: an old one may hold folders that have been removed
	// or have other names by now.
	before := w.events
	if err := w.ask(folders); err != nil {
		w.why, w.events = err.Error(), nil
	}
	w.folders = folders
	if before != nil {
		before.Close()
	}
	return true
}

// ask makes a watcher of folders. The error says why their changes can't be heard of.
func (w *Watcher) ask(folders map[string]os.FileInfo) error {
	for path := range folders {
		if name := remote(path); name != "" {
			return fmt.Errorf("%s is on a file system (%s) that other machines may write to", path, name)
		}
	}
	events, err := newWatcher()
	if err != nil {
		return fmt.Errorf("the system can't report changes: %w", err)
	}
	for path := range folders {
		if err := add(events, path); os.IsNotExist(err) {
			w.renew.Store(true) // it was removed just now
		} else if err != nil {
			events.Close()
			return fmt.Errorf("the system can't report changes of %s: %w", path, err)
		}
	}
	w.events = events
	go w.hear(events)
	return nil
}

// newWatcher and add make watchers. Tests replace them.
var (
	newWatcher = fsnotify.NewWatcher
	add        = (*fsnotify.Watcher).Add
)

// hear wakes the watcher for each event that may matter.
func (w *Watcher) hear(events *fsnotify.Watcher) {
	for {
		select {
		case event, ok := <-events.Events:
			if !ok {
				return
			}
			if !w.matters(event) {
				continue
			}
		case _, ok := <-events.Errors: // events were lost
			if !ok {
				return
			}
			w.renew.Store(true)
		}
		select {
		case w.woken <- struct{}{}:
		default:
		}
	}
}

// matters reports whether an event may be about the files. Others must not even cause a
// look: a database in the module may be written to a thousand times a second.
func (w *Watcher) matters(event fsnotify.Event) bool {
	now, path := w.index.Load(), event.Name
	switch {
	case now.folders[path] && event.Has(fsnotify.Create|fsnotify.Remove|fsnotify.Rename):
		w.renew.Store(true)
		return true
	case now.files[path] || now.belongs(path):
		return true
	case event.Has(fsnotify.Create):
		info, err := os.Lstat(path)
		return err == nil && (info.IsDir() || info.Mode()&os.ModeSymlink != 0)
	}
	return now.above(path) && event.Has(fsnotify.Remove|fsnotify.Rename)
}

// above reports whether a path is that of a link or folder above what is watched.
func (i *index) above(path string) bool {
	for folder := range i.folders {
		if strings.HasPrefix(folder, path+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

// existing returns the first folder on the way up that exists.
func existing(path string) (string, os.FileInfo) {
	for {
		info, err := os.Stat(path)
		if err == nil && info.IsDir() || filepath.Dir(path) == path {
			return path, info
		}
		path = filepath.Dir(path)
	}
}

func sameFolders(a, b map[string]os.FileInfo) bool {
	if len(a) != len(b) {
		return false
	}
	for path, info := range a {
		if other, ok := b[path]; !ok || !os.SameFile(info, other) {
			return false
		}
	}
	return true
}
