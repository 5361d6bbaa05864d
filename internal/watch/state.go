package watch

import (
	"crypto/sha256"
	"os"
	"time"
)

// State is what files contained at one time, by their paths.
type State map[string]entry

// entry is a file as it was at one time.
type entry struct {
	info os.FileInfo // nil if there was no file
	sum  [sha256.Size]byte
	// Two files may have the same size and time and yet differ, since the times of some
	// systems have steps of two seconds. Therefore what a file contains is only trusted
	// if it was read that long after these were first seen. The times are of this
	// process: the clock of a server with files may be another.
	seen, read time.Time
}

const step = 3 * time.Second

// look returns a file as it is now, or as it is known to be still.
func look(path string, known entry) entry {
	info, err := os.Stat(path)
	if err != nil {
		return entry{}
	}
	now := entry{info: info, seen: time.Now()}
	if known.sameFile(now) {
		now.info, now.seen = known.info, known.seen
		if known.read.Sub(known.seen) >= step {
			return known
		}
	}
	now.read = time.Now()
	if !info.Mode().IsRegular() {
		return now // a pipe, which would have to be waited for
	}
	text, err := os.ReadFile(path)
	if err != nil {
		text = []byte(err.Error())
	}
	now.sum = sha256.Sum256(text)
	return now
}

// sameFile reports whether nothing says that the file was written in between.
func (e entry) sameFile(other entry) bool {
	if e.info == nil || other.info == nil {
		return e.info == nil && other.info == nil
	}
	return os.SameFile(e.info, other.info) && e.info.Size() == other.info.Size() &&
		e.info.ModTime().Equal(other.info.ModTime()) && e.info.Mode() == other.info.Mode()
}

// Same reports whether the same files existed with the same contents.
func (s State) Same(other State) bool {
	return s.equal(other, func(a, b entry) bool { return (a.info == nil) == (b.info == nil) && a.sum == b.sum })
}

// Untouched reports whether the states are the same, and no file was written in between,
// not even with the content that it had.
func (s State) Untouched(other State) bool {
	return s.equal(other, func(a, b entry) bool { return a.sum == b.sum && a.sameFile(b) })
}

// equal compares the entries of two states. A file that one of them does not list does
// not exist.
func (s State) equal(other State, same func(a, b entry) bool) bool {
	for path, one := range s {
		if !same(one, other[path]) {
			return false
		}
	}
	for path, one := range other {
		if _, ok := s[path]; !ok && !same(one, entry{}) {
			return false
		}
	}
	return true
}

// Wrote returns the state after the watcher's own process wrote a file, by what was seen
// later: if the file has that content then, it counts as not changed.
func (s State) Wrote(path string, content []byte, later State) State {
	if found, ok := later[path]; ok && found.info != nil && found.sum == sha256.Sum256(content) {
		s[path] = found
	}
	return s
}

// lacks reports whether a file is gone or empty that was not in a former state.
func (s State) lacks(former State) bool {
	for path, before := range former {
		now := s[path]
		if before.info != nil && before.info.Size() > 0 && (now.info == nil || now.info.Size() == 0) {
			return true
		}
	}
	return false
}
