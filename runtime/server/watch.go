package server

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
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
	return option(func(all *services) { all.watches = append(all.watches, watch{name, files, load}) })
}

type watch struct {
	name  string
	files []string
	load  func(contents [][]byte) error
}

const (
	watchInterval = 250 * time.Millisecond
	// How long files may be wrong before that is logged.
	watchGrace = 3 * time.Second
	// How often files that are wrong are tried again: time alone may mend them.
	watchRetry = time.Minute
	// Files that are larger are refused, so that a wrong path can't take all memory.
	maxWatchedBytes = 16 << 20
)

// watched are files and what was last read from them.
type watched struct {
	watch
	log *slog.Logger

	seen     reading   // when they were last looked at
	tried    reading   // what was last given to load, or could not be read
	err      error     // of what was tried
	triedAt  time.Time // when it was last tried
	since    time.Time // since when there has been an error
	reported bool      // whether this was logged

	pipes  map[string][]byte   // what was in pipes, which can be read only once
	loaded bool                // for the first time
	each   func(now time.Time) // is called with each look; nil for nothing

	reloads, failures atomic.Int64
}

// reading is what a look at files found.
type reading struct {
	contents [][]byte
	err      error
}

func (r reading) equal(other reading) bool {
	return fmt.Sprint(r.err) == fmt.Sprint(other.err) && slices.EqualFunc(r.contents, other.contents, bytes.Equal)
}

// start loads the files for the first time. If that fails and they have changed
// meanwhile, they were just being replaced, and it tries again.
func (w watch) start(log *slog.Logger) (*watched, error) {
	files := &watched{watch: w, log: log, pipes: map[string][]byte{}}
	for read := files.read(); ; {
		err := read.err
		if err == nil {
			err = w.load(read.contents)
		}
		if err == nil {
			files.seen, files.tried, files.loaded = read, read, true
			return files, nil
		}
		again := files.read()
		if again.equal(read) {
			if read.err != nil {
				err = fmt.Errorf("%s: %w", w.name, err)
			}
			return nil, err
		}
		read = again
	}
}

// watchFiles looks at the files of the server until stop is called. When that returns,
// none is still being loaded.
func (s *Server) watchFiles(hangUps <-chan os.Signal) (stop func()) {
	var watching sync.WaitGroup
	ended := make(chan struct{})
	watching.Go(func() { watchAll(ended, hangUps, s.watched) })
	return func() {
		close(ended)
		watching.Wait()
	}
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
				if files.each != nil {
					files.each(now)
				}
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
	changed := !read.equal(w.tried)
	if settled && (changed || w.err != nil && now.Sub(w.triedAt) >= watchRetry) {
		w.reported = w.reported && !changed
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
	w.reported = false
	w.try(read, time.Now())
	if w.err != nil {
		w.report()
	}
}

func (w *watched) try(read reading, now time.Time) {
	failed := w.err != nil
	w.tried, w.err, w.triedAt = read, read.err, now
	if w.err == nil {
		w.err = w.load(read.contents)
	}
	if w.err == nil {
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

func (w *watched) read() (read reading) {
	for _, file := range w.files {
		content, err := w.readOne(file)
		if err != nil {
			return reading{err: &os.PathError{Op: "open", Path: file, Err: err}}
		}
		read.contents = append(read.contents, content)
	}
	return read
}

func (w *watched) readOne(file string) ([]byte, error) {
	info, err := os.Stat(file)
	pipe := err == nil && info.Mode()&os.ModeNamedPipe != 0
	if content, ok := w.pipes[file]; ok && pipe {
		return content, nil
	}
	if pipe && w.loaded { // it might keep the watch waiting forever
		return nil, errors.New("it is a pipe, and was a file before")
	}
	content, err := readFile(file, maxWatchedBytes)
	if err == nil && pipe {
		w.pipes[file] = content
	}
	return content, err
}

// loadFiles loads the files that the server watches.
func (s *Server) loadFiles(watches []watch) error {
	if s.config.TLSCert != "" {
		s.certificates = &certificates{
			files: certificateFiles(s.config.TLSCert, s.config.TLSKey, s.config.TLSClientCA),
			flags: []string{"--tls-cert", "--tls-key", "--tls-client-ca"},
			log:   s.log,
		}
		watched, err := s.certificates.start()
		if err != nil {
			return err
		}
		s.watched = append(s.watched, watched)
	}
	for _, watch := range watches {
		watched, err := watch.start(s.log)
		if err != nil {
			return err
		}
		s.watched = append(s.watched, watched)
	}
	return nil
}
