package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// Watch loads files, such as certificates or keys, when the server is about to
// listen, and again within a second whenever what is in one of them changes, or at
// once on SIGHUP. It compares what is in the files, so that they may also be
// replaced, or be links that another folder replaces, as Kubernetes does.
//
// load gets what is in the files, in their order. It takes over all of it, or
// returns an error that names the file and what is wrong, and then keeps what it
// loaded before: such an error ends [Listen] the first time, and is logged as a
// warning and counted later ([Server.Stats], by name). The same goes for a file that
// can't be read. Since files may be replaced one after the other, a warning comes
// only if they stay wrong for three seconds. load is called by one goroutine at a time,
// while calls are under way.
func Watch(name string, files []string, load func(contents [][]byte) error) Option {
	return watch{name, files, load}
}

type watch struct {
	name  string
	files []string
	load  func(contents [][]byte) error
}

func (w watch) apply(all *services) { all.watches = append(all.watches, w) }

// WatchFiles is [Watch] for a server of your own. It loads the files, returns, and
// watches them until ctx ends. It logs to [slog.Default].
func WatchFiles(ctx context.Context, name string, files []string, load func(contents [][]byte) error) error {
	w, err := watch{name, files, load}.start(slog.Default())
	if err != nil {
		return err
	}
	go watchAll(ctx.Done(), nil, []*watched{w})
	return nil
}

const (
	watchInterval = 250 * time.Millisecond
	// How long files may be wrong before that is logged.
	watchGrace = 3 * time.Second
	// Files that are larger are refused, so that a wrong path can't take all memory.
	maxWatchedBytes = 16 << 20
)

// watched are files and what was last read from them.
type watched struct {
	watch
	log *slog.Logger

	seen     reading   // when they were last looked at
	tried    reading   // what was last given to load, or could not be read
	loaded   [][]byte  // what load last took
	err      error     // of what was tried
	since    time.Time // since when there has been an error
	reported bool      // whether err was logged

	reloads, failures atomic.Int64
}

// reading is what a look at files found.
type reading struct {
	contents [][]byte
	err      error
}

func (r reading) equal(other reading) bool {
	if r.err != nil || other.err != nil {
		return r.err != nil && other.err != nil && r.err.Error() == other.err.Error()
	}
	if len(r.contents) != len(other.contents) {
		return false
	}
	for i := range r.contents {
		if !bytes.Equal(r.contents[i], other.contents[i]) {
			return false
		}
	}
	return true
}

// start loads the files for the first time.
func (w watch) start(log *slog.Logger) (*watched, error) {
	files := &watched{watch: w, log: log}
	read := files.read()
	if read.err != nil {
		return nil, fmt.Errorf("%s: %w", w.name, read.err)
	}
	if err := w.load(read.contents); err != nil {
		return nil, err
	}
	files.seen, files.tried, files.loaded = read, read, read.contents
	return files, nil
}

// watchAll looks at files until ended is closed, and at once on each hang-up.
func watchAll(ended <-chan struct{}, hangUps <-chan os.Signal, all []*watched) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-hangUps:
			for _, files := range all {
				files.lookNow()
			}
		case now := <-tick.C:
			for _, files := range all {
				files.look(now)
			}
		}
	}
}

// look loads the files if they have changed, and have been the same twice: one that
// another program is still writing is soon longer.
func (w *watched) look(now time.Time) {
	read := w.read()
	settled := read.equal(w.seen)
	w.seen = read
	if settled && !read.equal(w.tried) {
		w.try(read, now)
	}
	if w.err != nil && !w.reported && now.Sub(w.since) >= watchGrace {
		w.report()
	}
}

// lookNow loads the files if they have changed or were wrong, and logs what came of it.
func (w *watched) lookNow() {
	read := w.read()
	w.seen = read
	if w.err == nil && read.equal(w.tried) {
		w.log.Info("files have not changed", "of", w.name, "files", w.files)
		return
	}
	w.try(read, time.Now())
	if w.err != nil {
		w.report()
	}
}

func (w *watched) try(read reading, now time.Time) {
	failed := w.err != nil
	w.tried, w.err, w.reported = read, read.err, false
	if w.err == nil {
		w.err = w.load(read.contents)
	}
	if w.err == nil {
		w.loaded = read.contents
		w.reloads.Add(1)
		w.log.Info("files were read again", "of", w.name, "files", w.files)
	} else if !failed {
		w.since = now
	}
}

func (w *watched) report() {
	w.reported = true
	w.failures.Add(1)
	w.log.Warn("files that have changed can't be used: what was read before stays in use", "of", w.name, "error", w.err)
}

// read reads the files. It reads a pipe only at first, since that can't be read again.
func (w *watched) read() (read reading) {
	for i, file := range w.files {
		info, err := os.Stat(file)
		var content []byte
		switch {
		case err != nil:
		case w.loaded != nil && info.Mode()&os.ModeNamedPipe != 0:
			content = w.loaded[i]
		case info.Size() > maxWatchedBytes:
			err = fmt.Errorf("%s is larger than %d MiB", file, maxWatchedBytes>>20)
		default:
			content, err = readBounded(file)
		}
		if err != nil {
			return reading{err: err}
		}
		read.contents = append(read.contents, content)
	}
	return read
}

// readBounded reads a file, whose size may be anything by now.
func readBounded(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxWatchedBytes))
}

// Stats is what a server has counted since it listens.
type Stats struct {
	// Files are those that the server watches, by the name given to [Watch].
	Files map[string]FileStats
}

// FileStats counts how often files that had changed were loaded (not counting
// the first time), and how often what was in them could not be used.
type FileStats struct{ Reloads, Failures int64 }

// Stats returns the counts as they are now.
func (s *Server) Stats() Stats {
	stats := Stats{Files: map[string]FileStats{}}
	for _, files := range s.watched {
		stats.Files[files.name] = FileStats{files.reloads.Load(), files.failures.Load()}
	}
	return stats
}
