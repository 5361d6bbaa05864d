package keep

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a file that a run writes.
type File struct {
	Path    string
	Content []byte
	// Leftover reports whether it is one of ours that is no longer made. It
	// should be deleted. Where that can't be, Content makes it an empty package;
	// it is nil if the file is not in Go.
	Leftover bool
}

// Change returns what writing the file below root would do: "add", "change" or
// "delete"; "" if it would do nothing.
func (f File) Change(root string) string {
	existing, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(f.Path)))
	switch {
	case err != nil:
		return "add"
	case f.Leftover:
		return "delete"
	case !bytes.Equal(existing, f.Content):
		return "change"
	}
	return ""
}

// Unwritable returns an error that names the files below root that can't be
// written, or nil if all can be. protoc and buf write one file after the other,
// and stop half way at the first that they can't write.
func Unwritable(root string, files []File) error {
	var errs []error
	tried := map[string]error{} // folders
	for _, file := range files {
		at := filepath.Join(root, filepath.FromSlash(file.Path))
		existing, err := os.OpenFile(at, os.O_WRONLY, 0)
		if err == nil {
			err = existing.Close()
		}
		if err == nil && file.Leftover || errors.Is(err, fs.ErrNotExist) {
			folder := existingFolder(filepath.Dir(at))
			if _, ok := tried[folder]; !ok {
				tried[folder] = tryFolder(folder)
			}
			err = tried[folder]
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s can't be written: %w", file.Path, cause(err)))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%w\nNothing was written", errors.Join(errs...))
}

// existingFolder returns the first folder on the way up that exists.
func existingFolder(folder string) string {
	for {
		_, err := os.Stat(folder)
		above := filepath.Dir(folder)
		if !errors.Is(err, fs.ErrNotExist) || above == folder {
			return folder
		}
		folder = above
	}
}

// tryFolder makes a file in a folder and removes it: on some systems only that
// shows whether files can be made there.
func tryFolder(folder string) error {
	file, err := os.CreateTemp(folder, ".protoc-gen-receiver-*")
	if err != nil {
		return fmt.Errorf("%s: %w", folder, cause(err))
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// cause returns what is wrong with a path that the message names already.
func cause(err error) error {
	if failed, ok := err.(*fs.PathError); ok {
		return failed.Err
	}
	return err
}
