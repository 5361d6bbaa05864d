//runtime:with command.From

package command

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/terminal"
)

// source is what --from names.
type source struct {
	name     string // as it was given
	file     *os.File
	reader   io.Reader
	size     int64 // of what is sent; -1: it is a stream
	whole    int64 // size of the file when it was opened
	changed  time.Time
	identity [sha256.Size]byte
}

// How much of a file its identity is made of, if it is large: blocks from all of it.
const (
	identityBlocks = 64
	identityBlock  = 64 << 10
)

// openSource opens a file, or the standard input for "-".
func openSource(name string, stdin io.Reader) (*source, error) {
	if name == "-" {
		if stdin == nil {
			stdin = bytes.NewReader(nil)
		}
		return &source{name: "the standard input", reader: stdin, size: -1}, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, errors.Join(err, file.Close())
	case info.IsDir():
		return nil, errors.Join(fmt.Errorf("%s is a folder: want a file", name), file.Close())
	case !info.Mode().IsRegular():
		return &source{name: name, file: file, reader: file, size: -1}, nil
	}
	s := &source{name: name, file: file, whole: info.Size(), changed: info.ModTime()}
	if err := s.limit(s.whole); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return s, nil
}

// limit has the first bytes of a file sent, which have an identity of their own.
func (s *source) limit(size int64) error {
	s.size, s.reader = size, io.LimitReader(s.file, size) // what is appended meanwhile has no part in it
	hash := sha256.New()
	fmt.Fprintf(hash, "%d\n", s.size)
	step := max(s.size/identityBlocks, identityBlock)
	for at := int64(0); at < s.size; at += step {
		if s.size-at < 2*step && s.size > identityBlocks*identityBlock {
			at = max(at, s.size-identityBlock) // the last block is at the end
		}
		if _, err := io.Copy(hash, io.NewSectionReader(s.file, at, min(identityBlock, s.size-at))); err != nil {
			return err
		}
	}
	hash.Sum(s.identity[:0])
	return nil
}

// goTo goes on at an offset.
func (s *source) goTo(offset int64) error {
	_, err := s.file.Seek(offset, io.SeekStart)
	s.reader = io.LimitReader(s.file, s.size-offset)
	return err
}

// isChanged reports whether the file is another one than when it was opened.
func (s *source) isChanged() bool {
	if s.size < 0 {
		return false
	}
	info, err := s.file.Stat()
	return err != nil || info.Size() != s.whole || !info.ModTime().Equal(s.changed)
}

// state is how far a run has come. A later one goes on there.
type state struct {
	File     string    `json:"file"`
	Size     int64     `json:"size"`
	Changed  time.Time `json:"changed"`
	Identity []byte    `json:"identity"`
	Command  string    `json:"command"`
	Addr     string    `json:"addr"`
	IDField  string    `json:"idField,omitempty"`
	At       mark      `json:"done"`
	Lines    tally     `json:"lines"`
	// RefusedBytes is how much of the file with refused lines is about those before At.
	RefusedFile  string `json:"refusedFile"`
	RefusedBytes int64  `json:"refusedBytes"`
}

// loadState returns the state of an earlier run with the same file, or nil if there is
// none. If the file has grown since, the source then has what was in it.
func loadState(path string, s *source, now state) (*state, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var was state
	if err == nil {
		err = json.Unmarshal(text, &was)
	}
	if err == nil && (was.At.Offset < 0 || was.At.Offset > was.Size || was.RefusedBytes < 0) {
		err = errors.New("it is not what a run has written")
	}
	if err != nil {
		return nil, fmt.Errorf("%s can't be read: %w (without --resume all lines are sent again; what is stored is not stored twice)", path, err)
	}
	grown := was.Size < s.size
	if grown {
		if err := s.limit(was.Size); err != nil {
			return nil, err
		}
	}
	anew := "Without --resume all of it is sent"
	switch {
	case was.Command != now.Command || was.IDField != now.IDField:
		return nil, fmt.Errorf("%s is of %s with --id-field %q: resume that, or name another file with --state", path, was.Command, was.IDField)
	case was.Addr != now.Addr:
		return nil, fmt.Errorf("%s is of lines that were sent to %s, and not to %s. %s", path, was.Addr, now.Addr, anew)
	case was.Size != s.size || !bytes.Equal(was.Identity, s.identity[:]):
		return nil, fmt.Errorf("%s has changed since line %d was sent, so it is not known what its lines are now. %s, and lines that were stored are stored once more unless their ids are in a field (see --id-field)",
			s.name, was.At.Line, anew)
	case !was.Changed.Equal(s.changed) && !grown:
		return nil, fmt.Errorf("%s was written since line %d was sent, so it is not known what its lines are now. %s; lines that are the same are not stored twice",
			s.name, was.At.Line, anew)
	}
	return &was, nil
}

// refusedFile gets the lines that are refused. It is made with the first of them.
type refusedFile struct {
	path    string
	source  string
	decode  *decoder
	more    bool // whether what it has stays: the source of that can't be read again
	written int64

	mu   sync.Mutex // of file
	file *os.File
}

// sync returns once what was written is on disk, if it is in a file.
func (r *refusedFile) sync() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	if info, err := r.file.Stat(); err != nil || !info.Mode().IsRegular() {
		return err
	}
	return r.file.Sync()
}

// resume keeps what an earlier run has written about lines that are done.
func (r *refusedFile) resume(size int64) error {
	file, err := os.OpenFile(r.path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) && size == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lines that an earlier run could not send: %w (without --resume all lines are sent again)", err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() { // such as /dev/null
		r.file = file
		return nil
	}
	if err != nil || info.Size() < size {
		return errors.Join(fmt.Errorf("%s has lost lines that an earlier run wrote to it: leave out --resume", r.path), err, file.Close())
	}
	r.file, r.written = file, size
	if err := file.Truncate(size); err != nil {
		return err
	}
	_, err = file.Seek(size, io.SeekStart)
	return err
}

// add writes lines to the file: all of them, or none.
func (r *refusedFile) add(all []rejection) error {
	var text []byte
	for _, refused := range all {
		line, err := json.Marshal(r.line(refused))
		if err != nil {
			return err
		}
		text = append(append(text, terminal.JSON(line)...), '\n')
	}
	err := r.open()
	if err == nil {
		if _, err = r.file.Write(text); err == nil {
			r.written += int64(len(text))
			return nil
		}
		if !r.more { // another run may have written to it
			_ = r.file.Truncate(r.written) // a run that goes on does so, too
			_, _ = r.file.Seek(r.written, io.SeekStart)
		}
	}
	return fmt.Errorf("a line was refused, and can't be kept: %w (--refused names another place)", err)
}

func (r *refusedFile) open() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file != nil {
		return nil
	}
	mode := os.O_CREATE | os.O_TRUNC | os.O_WRONLY
	if r.more {
		mode = os.O_CREATE | os.O_APPEND | os.O_RDWR
	}
	file, err := os.OpenFile(r.path, mode, 0o600)
	if err != nil {
		return err
	}
	r.file = file
	last := []byte{'\n'}
	if info, err := file.Stat(); r.more && err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		_, _ = file.ReadAt(last, info.Size()-1)
	}
	if last[0] != '\n' { // the disk was full
		_, err = file.WriteString("\n")
	}
	return err
}

// line returns what the file has of a line.
func (r *refusedFile) line(refused rejection) (one refusedLine) {
	one.Refused.File, one.Refused.Line, one.Refused.ID, one.Refused.Reason = r.source, refused.line.number, refused.id, refused.reason
	switch {
	case refused.line.cells != nil:
		one.Cells = map[string]string{}
		for i, cell := range refused.line.cells {
			name := fmt.Sprintf("column %d", i+1)
			if i < len(r.decode.columns) {
				name = r.decode.columns[i].name
			}
			one.Cells[name] = cell
		}
	case !utf8.Valid(refused.line.text):
		one.Data = refused.line.text
	case json.Valid(refused.line.text):
		one.Value = refused.line.text
		var before refusedLine // it was refused before
		if json.Unmarshal(refused.line.text, &before) == nil && before.Refused.Reason != "" {
			one.Value, one.Text, one.Data, one.Cells = before.Value, before.Text, before.Data, before.Cells
		}
	default:
		one.Text = string(refused.line.text)
	}
	return one
}
