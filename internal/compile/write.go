package compile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/aymanbagabas/go-udiff"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
)

// write puts files below root, and deletes those that are gone. One that stands
// there with the same content is not touched; any other is replaced in one
// step, so that nobody ever sees half of it. Everything is on the disk beside
// its place before the first is put there: if there is no room, or a folder may
// not be written to, all stays as it was.
func write(root string, files []keep.File) (err error) {
	var all []*staged
	defer func() {
		for _, one := range slices.Backward(all) {
			err = errors.Join(err, one.discard())
		}
		if err != nil {
			err = fmt.Errorf("%w\nNothing was written", err)
		}
	}()
	for _, file := range files {
		one, err := stage(root, file)
		if err != nil {
			return err
		}
		if one != nil {
			all = append(all, one)
		}
	}
	for i, one := range all {
		if err := one.commit(); err != nil {
			return errors.Join(err, fmt.Errorf("%d of %d files were written before that", i, len(all)))
		}
	}
	all = nil
	return nil
}

// staged is a file that is ready to take its place.
type staged struct {
	at        string
	temporary string // "" if the file is to be deleted
	made      []string
}

// stage writes a file beside its place; it returns nil if there is nothing to do.
func stage(root string, file keep.File) (_ *staged, err error) {
	if !filepath.IsLocal(filepath.FromSlash(file.Path)) {
		return nil, fmt.Errorf("%s lies outside of %s", file.Path, root)
	}
	if file.Change(root) == "" {
		return nil, nil
	}
	one := &staged{at: filepath.Join(root, filepath.FromSlash(file.Path))}
	if file.Leftover {
		return one, nil
	}
	if target, err := filepath.EvalSymlinks(one.at); err == nil {
		one.at = target
	}
	if info, err := os.Stat(one.at); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a folder, and a file is to be there: move it away", one.at)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, one.discard())
		}
	}()
	if err := one.makeDir(filepath.Dir(one.at)); err != nil {
		return nil, err
	}
	temporary, err := os.CreateTemp(filepath.Dir(one.at), "."+filepath.Base(one.at)+"-*")
	if err != nil {
		return nil, err
	}
	one.temporary = temporary.Name()
	_, err = temporary.Write(file.Content)
	return one, errors.Join(err, temporary.Chmod(0o644), temporary.Close())
}

// makeDir makes a folder and those above it, and notes which there were not.
func (s *staged) makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if above := filepath.Dir(dir); above != dir {
		if err := s.makeDir(above); err != nil {
			return err
		}
	}
	err := os.Mkdir(dir, 0o777)
	if err == nil {
		s.made = append(s.made, dir)
	}
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	return err
}

// commit has the file take its place. A folder that is left empty goes, too.
func (s *staged) commit() error {
	if s.temporary != "" {
		return os.Rename(s.temporary, s.at)
	}
	err := os.Remove(s.at)
	_ = os.Remove(filepath.Dir(s.at)) // fails if there is anything in it
	return err
}

// discard takes back what stage did, as far as it has not been committed.
func (s *staged) discard() error {
	if s.temporary != "" {
		if err := os.Remove(s.temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	for i := len(s.made) - 1; i >= 0; i-- {
		_ = os.Remove(s.made[i]) // fails if it holds another file by now
	}
	return nil
}

// show writes what a run would change below root: a line for each file, and how
// it would be changed if that is asked for. It returns how many there are.
func show(root string, files []keep.File, diff bool, out io.Writer) (changes int, err error) {
	for _, file := range files {
		change := file.Change(root)
		if change == "" {
			continue
		}
		changes++
		if _, err := fmt.Fprintln(out, change, file.Path); err != nil {
			return changes, err
		}
		if diff {
			if err := showDiff(root, file, out); err != nil {
				return changes, err
			}
		}
	}
	return changes, nil
}

// showDiff writes how a file would be changed, as a unified diff.
func showDiff(root string, file keep.File, out io.Writer) error {
	stands, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file.Path)))
	before, after := path.Join("a", file.Path), path.Join("b", file.Path)
	if err != nil {
		before = "/dev/null"
	}
	content := file.Content
	if file.Leftover {
		content, after = nil, "/dev/null"
	}
	if bytes.Equal(stands, content) {
		return nil
	}
	_, err = io.WriteString(out, udiff.Unified(before, after, string(stands), string(content)))
	return err
}
