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

// write writes files below root, and deletes leftovers. It doesn't touch a
// file that already has the content, and replaces others by renaming, so that nobody
// sees half a file. It stages all files, each in its folder under a temporary name,
// before it renames the first: if the disk is full, or a folder is not writable,
// nothing has changed.
func write(root string, files []keep.File) (err error) {
	var all []*staged
	defer func() {
		for _, one := range slices.Backward(all) {
			err = errors.Join(err, one.discard())
		}
	}()
	for _, file := range files {
		one, err := stage(root, file)
		if err != nil {
			return fmt.Errorf("%w\nNothing was written", err)
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

// staged is a file under a temporary name, ready to be renamed.
type staged struct {
	at        string
	root      string   // above which no folder is removed
	temporary string   // "" if the file is to be deleted
	made      []string // folders that stage made
}

// stage writes a file under a temporary name in its folder. It returns nil if there is
// nothing to do.
func stage(root string, file keep.File) (_ *staged, err error) {
	if !filepath.IsLocal(filepath.FromSlash(file.Path)) {
		return nil, fmt.Errorf("%s is outside of %s", file.Path, root)
	}
	if file.Change(root) == "" {
		return nil, nil
	}
	one := &staged{at: filepath.Join(root, filepath.FromSlash(file.Path)), root: filepath.Clean(root)}
	if file.Leftover {
		return one, nil
	}
	if target, err := filepath.EvalSymlinks(one.at); err == nil {
		one.at = target
	}
	if info, err := os.Stat(one.at); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a folder, but a file must be written there: move the folder away", one.at)
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

// makeDir makes a folder and its parents, and records those that did not exist.
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

// commit renames the file to its path, or deletes it, and the folders above it that
// are then empty.
func (s *staged) commit() error {
	if s.temporary != "" {
		return os.Rename(s.temporary, s.at)
	}
	err := os.Remove(s.at)
	for dir := filepath.Dir(s.at); dir != s.root; dir = filepath.Dir(dir) {
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() { // a link is its owner's
			break
		}
		if os.Remove(dir) != nil { // it is not empty
			break
		}
	}
	return err
}

// discard undoes stage, unless the file has been committed.
func (s *staged) discard() error {
	if s.temporary != "" {
		if err := os.Remove(s.temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	for i := len(s.made) - 1; i >= 0; i-- {
		_ = os.Remove(s.made[i]) // fails if the folder is not empty
	}
	return nil
}

// show prints what a run would change below root: a line for each file, followed by
// its diff if diff is set. It returns the number of files.
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

// showDiff prints how a file would change, as a unified diff.
func showDiff(root string, file keep.File, out io.Writer) error {
	old, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file.Path)))
	before, after := path.Join("a", file.Path), path.Join("b", file.Path)
	if err != nil {
		before = "/dev/null"
	}
	content := file.Content
	if file.Leftover {
		content, after = nil, "/dev/null"
	}
	if bytes.Equal(old, content) {
		return nil
	}
	_, err = io.WriteString(out, udiff.Unified(before, after, string(old), string(content)))
	return err
}
