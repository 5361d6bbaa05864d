package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// watch notices that a file of an open log was removed or replaced. SQLite goes on
// with what it has open, so what it commits is lost when the process ends.
type watch struct {
	path string

	mu       sync.Mutex
	database os.FileInfo // this and the next two as they were when the log was opened
	wal, shm os.FileInfo
	walFile  *os.File
	current  generation
	frames   int64       // of the current generation that were seen
	followed time.Time   // when they were looked for
	present  time.Time   // when the write-ahead log was last looked for
	base     *fileHeader // of the file when the generation began; nil if that is not known
	sound    time.Time   // when the file was last written, when it was found to belong to the write-ahead log
	size     int64       // of the file, when that was last looked at
	next     time.Time   // when it may be looked at again after a commit
	loss     *loss       // nil while there is none
}

// After commits, looks at the write-ahead log have shortest times between them, because
// they cost more than each commit may.
const (
	// followInterval is the one between looks at what it has. That it was truncated is
	// noticed if what is missing was seen before.
	followInterval = 2 * time.Millisecond
	// presenceInterval is the one between looks at whether it is there. Where the
	// system keeps fine timestamps, a file whose times were asked for gets new ones by
	// its next write, and to sync them takes as long as to sync the write. What was
	// committed before a loss is noticed is saved then; it is lost only if the process
	// is killed within this time.
	presenceInterval = 20 * time.Millisecond
)

// contentPause is the shortest time between two looks at whether the file, which was
// written, still belongs to the write-ahead log.
const contentPause = 20 * time.Millisecond

// loss is why a log can't be used any longer.
type loss struct {
	what  string
	cause error
	// isIntact reports whether the write-ahead log that SQLite has open is whole,
	// and belongs to the file: then a checkpoint saves what it has.
	isIntact bool
	isSaved  bool
}

// unavailable returns the error that callers get.
func (l *loss) unavailable() error {
	what := l.what
	if l.isSaved {
		what += ", and what was acknowledged was saved"
	}
	return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: what + "; stop the server and start it again", Cause: l.cause}
}

// start begins to watch the files that a connection has opened.
func (w *watch) start() (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.database == nil {
		if w.database, err = os.Stat(w.path); err != nil {
			return err
		}
	}
	w.closeFile()
	if w.walFile, err = os.Open(w.path + "-wal"); err != nil {
		return err
	}
	if w.wal, err = w.walFile.Stat(); err != nil {
		return err
	}
	w.current, w.frames, w.base = generation{}, 0, nil
	w.shm, err = os.Stat(w.path + "-shm")
	return err
}

// stop must be called before the connection is closed: some systems don't delete a
// file that is open.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closeFile()
	w.wal, w.shm = nil, nil // which may be deleted now
}

func (w *watch) closeFile() {
	if w.walFile != nil {
		_ = w.walFile.Close()
		w.walFile = nil
	}
}

// check returns nil while the files are those that were opened, and have what was
// committed. committed reports whether something was, just now.
func (w *watch) check(committed bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.loss == nil {
		w.loss = w.find(committed)
	}
	if w.loss != nil {
		return w.loss.unavailable()
	}
	return nil
}

// known returns the error of check, if a loss is known.
func (w *watch) known() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.loss != nil {
		return w.loss.unavailable()
	}
	return nil
}

func (w *watch) find(committed bool) *loss {
	now := time.Now()
	soon := committed && now.Sub(w.present) < presenceInterval
	if !soon {
		w.present = now
	}
	for _, file := range [...]struct {
		suffix, name string
		opened       os.FileInfo
	}{
		{"", "file", w.database},
		{"-wal", "-wal", w.wal},
		{"-shm", "-shm", w.shm}, // without it only a further process does harm, so this is not looked for at each commit
	} {
		if file.opened == nil || committed && file.suffix == "-shm" || soon && file.suffix == "-wal" {
			continue
		}
		info, err := os.Stat(w.path + file.suffix)
		switch {
		case err == nil && !os.SameFile(info, file.opened):
			err = fmt.Errorf("there is another file at %s%s", w.path, file.suffix)
		case !errors.Is(err, fs.ErrNotExist): // the disk may fail for a while, and then nothing is lost
			err = nil
		}
		if err != nil {
			return &loss{what: "its " + file.name + " was removed or replaced while it was open", cause: err, isIntact: file.suffix != "" && !w.isForeign()}
		}
	}
	if w.walFile == nil || committed && now.Sub(w.followed) < followInterval {
		return nil
	}
	w.followed = now
	if loss := w.follow(committed); loss != nil || !committed || w.followed.Before(w.next) {
		return loss
	}
	// Before a checkpoint hides it: what takes long is done less often.
	loss := w.overwritten()
	w.next = time.Now().Add(max(contentPause, 50*time.Since(w.followed)))
	return loss
}

// follow reads which frames were added to the write-ahead log, and finds out whether
// those before them are still there.
func (w *watch) follow(committed bool) *loss {
	for tries := 0; ; tries++ {
		g, ok, err := readGeneration(w.walFile)
		if err == nil && !ok && (!committed || w.isEmpty()) { // by a checkpoint; and not every commit has something to write
			w.current, w.frames, w.base = generation{}, 0, nil
			return nil
		}
		if ok && g != w.current {
			w.current, w.frames, w.base = g, 0, nil
			w.note()
		}
		if ok {
			ok, err = w.seeFrames()
		}
		if err != nil || ok {
			return nil // of a disk that fails, SQLite reports it
		}
		if tries == 3 { // otherwise another process may have begun a generation just now
			return &loss{what: "its -wal was truncated or overwritten while it was open", cause: errors.New("what was committed is not in it")}
		}
		time.Sleep(time.Millisecond)
	}
}

// isEmpty reports whether the write-ahead log has nothing. If it was emptied by other
// means than a checkpoint, the next commit does not write into its beginning.
func (w *watch) isEmpty() bool {
	info, err := w.walFile.Stat()
	return err == nil && info.Size() == 0
}

// seeFrames counts the frames of the generation, which are the first of the file, by
// looking at few of those that were added: there are several for each commit. It returns
// false if those before them are not there.
func (w *watch) seeFrames() (ok bool, err error) {
	if w.frames > 0 {
		if _, ok, err = w.current.frame(w.walFile, w.frames-1); err != nil || !ok {
			return false, err
		}
	}
	skip := func(step int64) bool {
		if _, ok, err = w.current.frame(w.walFile, w.frames+step-1); err == nil && ok {
			w.frames += step
		}
		return err == nil && ok
	}
	step := int64(1)
	for skip(step) {
		step *= 2
	}
	for ; step > 0 && err == nil; step /= 2 {
		skip(step)
	}
	return err == nil, err
}

// note notes the header of the file as it is when a generation begins. If that may be
// from a checkpoint of this generation, it notes nothing: a loss of power could undo
// the checkpoint.
func (w *watch) note() {
	if noted, ok := readNote(w.path, w.current); ok { // by whoever saw it first
		w.base = &noted
		return
	}
	ctx := context.Background()
	header, err := readFileHeader(ctx, w.path)
	if err != nil {
		return
	}
	if has, err := w.current.has(w.walFile, header); err != nil || has {
		return
	}
	again, err := readFileHeader(ctx, w.path)
	if now, ok, failed := readGeneration(w.walFile); err != nil || again != header || failed != nil || !ok || now != w.current {
		return
	}
	if writeNote(w.path, w.current, header) == nil { // without it, nothing is concluded
		w.base = &header
	}
}

// checkContent returns nil unless something else has written over the file.
func (w *watch) checkContent() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.loss == nil {
		w.loss = w.overwritten()
	}
	if w.loss != nil {
		return w.loss.unavailable()
	}
	return nil
}

func (w *watch) overwritten() *loss {
	if !w.isForeign() {
		return nil
	}
	return &loss{what: "its file was overwritten or truncated while it was open", cause: errors.New("the file is not the one that its -wal continues")}
}

// isForeign reports whether the file is not the one that the write-ahead log
// continues.
func (w *watch) isForeign() bool {
	info, err := os.Stat(w.path)
	if err != nil || w.walFile == nil || info.ModTime().Equal(w.sound) {
		return false
	}
	if info.Size() < w.size { // checkpoints also make it shorter, as its header then says
		if _, err := readFileHeader(context.Background(), w.path); isDamage(err) {
			return true
		}
	}
	if w.size = info.Size(); w.base == nil {
		return false
	}
	foreign := isForeign(context.Background(), w.path, w.walFile, func(g generation) (fileHeader, bool) {
		return *w.base, g == w.current
	})
	if !foreign && time.Since(info.ModTime()) > contentPause { // else it may be written again at the same time
		w.sound = info.ModTime()
	}
	return foreign
}

// saving returns the loss after which the write-ahead log is to be saved, or nil.
func (w *watch) saving() *loss {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.loss == nil || !w.loss.isIntact || w.loss.isSaved {
		return nil
	}
	return w.loss
}

// saved records that what the write-ahead log had is in the file.
func (w *watch) saved() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loss.isSaved = true
}

// isLost reports whether there is a loss.
func (w *watch) isLost() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.loss != nil
}
