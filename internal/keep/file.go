package keep

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// File is a file that a run writes.
type File struct {
	Path    string
	Content []byte
	// Leftover reports whether it is one of ours that is no longer made. It
	// should be deleted. Where that can't be, Content makes it an empty package;
	// it is nil if the file is not in Go.
	Leftover bool

	turn turn
}

// turn says when a file is written, so that a run that is cut off leaves nothing by
// which the next one takes for done what is not.
type turn int

const (
	ofYourTests turn = iota - 2 // the next run writes the test of an RPC with its skeleton alone
	ofYours
	ofOurs
	ofTraces
	ofRecords
)

// Sort puts files into the order in which they are to be written: what is yours,
// then what is ours, and last what shows the next run that this one had an element.
func Sort(files []File) {
	slices.SortStableFunc(files, func(a, b File) int {
		return cmp.Or(cmp.Compare(a.turn, b.turn), cmp.Compare(a.Path, b.Path))
	})
}

// Change returns what writing the file below root would do: "add", "change" or
// "delete"; "" if it would do nothing.
func (f File) Change(root *Root) (string, error) {
	existing, err := root.Read(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "add", nil
	case err != nil:
		return "", err
	case f.Leftover:
		return "delete", nil
	case !bytes.Equal(existing, f.Content):
		return "change", nil
	}
	return "", nil
}

// Unwritable returns an error that names the files below root that can't be
// written, in one line for each cause, or nil if all can be. protoc and buf write one
// file after the other, and stop half way at the first that they can't write.
func Unwritable(root *Root, files []File) error {
	var causes []string
	of := map[string][]string{} // files, by the cause
	tried := map[string]error{} // folders
	for _, file := range files {
		err := root.writable(file.Path)
		if err == nil && file.Leftover || errors.Is(err, fs.ErrNotExist) {
			folder := root.existingFolder(path.Dir(file.Path))
			if _, ok := tried[folder]; !ok {
				tried[folder] = root.tryFolder(folder)
			}
			err = tried[folder]
		}
		if err != nil {
			text := cause(err).Error()
			if of[text] == nil {
				causes = append(causes, text)
			}
			of[text] = append(of[text], file.Path)
		}
	}
	if len(causes) == 0 {
		return nil
	}
	var lines strings.Builder
	for _, text := range causes {
		fmt.Fprintf(&lines, "%s can't be written: %s%s\n", of[text][0], text, model.More(of[text][1:]))
	}
	return errors.New(lines.String() + "Nothing was written")
}

// writable returns an error if a file does not exist or can't be written.
func (r *Root) writable(at string) error {
	return r.open(at, os.O_WRONLY, func(*os.File, int64) error { return nil })
}

// existingFolder returns the first folder on the way up that exists.
func (r *Root) existingFolder(dir string) string {
	for {
		if _, err := r.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == "." {
			return dir
		}
		dir = path.Dir(dir)
	}
}

// tryFolder makes a file in a folder and removes it: on some systems only that
// shows whether files can be made there.
func (r *Root) tryFolder(dir string) error {
	at, file, err := r.CreateTemporary(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(r.dir, filepath.FromSlash(dir)), cause(err))
	}
	return errors.Join(file.Close(), r.Remove(at))
}

// cause returns what is wrong with a path that the message names already.
func cause(err error) error {
	switch err := err.(type) {
	case *fs.PathError:
		return err.Err
	case refusal:
		return errors.New(err.why)
	}
	return err
}
