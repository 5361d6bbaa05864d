package compile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"github.com/aymanbagabas/go-udiff"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
)

// Put writes the files that would change, in their order, if all of them can be
// written, and deletes leftovers. First it removes what killed runs left under
// temporary names.
func Put(root *keep.Root, files []keep.File) error {
	if err := removeTemporary(root, files); err != nil {
		return err
	}
	changed, err := changed(root, files)
	if err != nil {
		return fmt.Errorf("%w\nNothing was written", err)
	}
	if err := keep.Unwritable(root, changed); err != nil {
		return err
	}
	return write(root, changed)
}

// removeTemporary removes what killed runs left in the folders of files, and above them.
func removeTemporary(root *keep.Root, files []keep.File) error {
	done := map[string]bool{}
	var errs []error
	for _, file := range files {
		for dir := path.Dir(file.Path); !done[dir]; dir = path.Dir(dir) {
			done[dir] = true
			errs = append(errs, root.RemoveTemporary(dir))
		}
	}
	return errors.Join(errs...)
}

// changed returns the files that are not on disk as they should be.
func changed(root *keep.Root, files []keep.File) (changed []keep.File, err error) {
	for _, file := range files {
		if !filepath.IsLocal(filepath.FromSlash(file.Path)) {
			return nil, fmt.Errorf("%s is outside of the module", file.Path)
		}
		change, err := file.Change(root)
		if err != nil {
			return nil, err
		}
		if change != "" {
			changed = append(changed, file)
		}
	}
	return changed, nil
}

// write replaces files by renaming, so that nobody sees half a file. It stages all
// of them, each in its folder under a temporary name, before it renames the first: if
// the disk is full, or a folder is not writable, nothing has changed.
func write(root *keep.Root, files []keep.File) (err error) {
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
		all = append(all, one)
	}
	for i, one := range all {
		if err := one.commit(); err != nil {
			return fmt.Errorf("%w\nOf %d files %d were written: run it again for the rest", err, len(all), i)
		}
	}
	all = nil
	return nil
}

// staged is a file under a temporary name, ready to be renamed.
type staged struct {
	root      *keep.Root
	at        string
	temporary string   // "" if the file is to be deleted
	made      []string // folders that stage made
}

// stage writes a file under a temporary name in its folder.
func stage(root *keep.Root, file keep.File) (_ *staged, err error) {
	one := &staged{root: root, at: file.Path}
	if file.Leftover {
		return one, nil
	}
	if one.at, err = root.Resolve(file.Path); err != nil { // a link stays one
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, one.discard())
		}
	}()
	if err := one.makeDir(path.Dir(one.at)); err != nil {
		return nil, err
	}
	temporary, disk, err := root.CreateTemporary(path.Dir(one.at))
	if err != nil {
		return nil, err
	}
	one.temporary = temporary
	if err = step(); err == nil {
		_, err = disk.Write(file.Content)
	}
	return one, errors.Join(err, disk.Chmod(0o644), disk.Close())
}

// makeDir makes a folder and its parents, and records those that did not exist.
func (s *staged) makeDir(dir string) error {
	if _, err := s.root.Stat(dir); err == nil || dir == "." {
		return nil
	}
	if err := s.makeDir(path.Dir(dir)); err != nil {
		return err
	}
	err := s.root.Mkdir(dir)
	if err == nil {
		s.made = append(s.made, dir)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// step is called before each change of the disk. Tests replace it, to end a run there.
var step = func() error { return nil }

// commit renames the file to its path, or deletes it, and the folders above it that
// are then empty.
func (s *staged) commit() error {
	if err := step(); err != nil {
		return err
	}
	if s.temporary != "" {
		return s.root.Rename(s.temporary, s.at)
	}
	err := s.root.Remove(s.at)
	for dir := path.Dir(s.at); dir != "."; dir = path.Dir(dir) {
		if info, err := s.root.Lstat(dir); err != nil || !info.IsDir() { // a link is its owner's
			break
		}
		if s.root.Remove(dir) != nil { // it is not empty
			break
		}
	}
	if errors.Is(err, fs.ErrNotExist) { // another run was faster
		return nil
	}
	return err
}

// discard undoes stage, unless the file has been committed.
func (s *staged) discard() error {
	if s.temporary != "" {
		if err := s.root.Remove(s.temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, dir := range slices.Backward(s.made) {
		_ = s.root.Remove(dir) // fails if the folder is not empty
	}
	return nil
}

// show prints what a run would change below root: a line for each file, followed by
// its diff if diff is set. It returns the number of files.
func show(root *keep.Root, files []keep.File, diff bool, out io.Writer) (changes int, err error) {
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b keep.File) int { return cmp.Compare(a.Path, b.Path) })
	for _, file := range files {
		change, err := file.Change(root)
		if err != nil {
			return changes, err
		}
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
func showDiff(root *keep.Root, file keep.File, out io.Writer) error {
	old, err := root.Read(file.Path)
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
