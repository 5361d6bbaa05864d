package keep

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Root is the folder of a module. Its methods take paths below it, with slashes, and
// follow links within it. A link out of it is an error: nothing there is read or
// written. So are devices, pipes and sockets where a file is meant.
type Root struct {
	dir  string // as the user calls it
	real string // without links
	disk *os.Root

	mutex   sync.Mutex
	folders map[string]*os.Root // those that are read, so that a path is walked once
	missing map[string]bool     // those that do not exist
}

// maxFolders is how many folders are kept open.
const maxFolders = 800

// OpenRoot opens the folder of a module.
func OpenRoot(dir string) (*Root, error) {
	real, err := filepath.Abs(dir) // first, since the working folder may be called by a link
	if err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if err != nil {
		return nil, err
	}
	disk, err := os.OpenRoot(real)
	if err != nil {
		return nil, err
	}
	return &Root{dir: dir, real: real, disk: disk, folders: map[string]*os.Root{}, missing: map[string]bool{}}, nil
}

// Close releases the folder.
func (r *Root) Close() error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	errs := []error{r.disk.Close()}
	for _, folder := range r.folders {
		errs = append(errs, folder.Close())
	}
	clear(r.folders)
	return errors.Join(errs...)
}

// near returns the folder of a path, if it can be kept open, and what is left of the
// path then; else the module's folder and the path. It is an error if there is no such
// folder.
func (r *Root) near(at string) (folder *os.Root, name string, err error) {
	dir, name := filepath.Split(at)
	if dir == "" || name == "" {
		return r.disk, at, nil
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if folder = r.folders[dir]; folder != nil {
		return folder, name, nil
	}
	if !r.missing[dir] && len(r.folders) < maxFolders {
		folder, err = r.disk.OpenRoot(dir)
		r.missing[dir] = errors.Is(err, fs.ErrNotExist)
	}
	switch {
	case r.missing[dir]:
		return nil, "", &fs.PathError{Op: "open", Path: at, Err: fs.ErrNotExist}
	case folder == nil:
		return r.disk, at, nil
	}
	r.folders[dir] = folder
	return folder, name, nil
}

// refusal is what is wrong with a path, so that it is not read or written.
type refusal struct{ at, why string }

func (r refusal) Error() string { return r.at + ": " + r.why }

// within does something with a path. The operating system follows no absolute link
// for us, even one that leads to a folder of the module, so those are resolved where it
// refuses.
func (r *Root) within(at string, do func(at string) error) error {
	err := do(filepath.FromSlash(at))
	if failed := (*fs.PathError)(nil); errors.As(err, &failed) {
		failed.Path = at // and not only its name in its folder
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrPermission) {
		return err
	}
	if _, refused := err.(refusal); refused {
		return err
	}
	if errors.Is(err, syscall.ENOTDIR) {
		if file := r.fileIn(filepath.Dir(filepath.FromSlash(at))); file != "" {
			return refusal{at, file + " is a file, but it must be a folder: move it away"}
		}
	}
	resolved, outside := r.Resolve(at)
	switch {
	case outside != nil:
		return outside
	case resolved == at:
		return err
	}
	return do(filepath.FromSlash(resolved))
}

// Resolve follows the links in a path, as far as it exists, and returns the path
// without them. It returns an error if they lead out of the module.
func (r *Root) Resolve(at string) (string, error) {
	exists, rest := filepath.FromSlash(at), ""
	for {
		real, err := filepath.EvalSymlinks(filepath.Join(r.real, exists))
		if err == nil {
			relative, err := filepath.Rel(r.real, real)
			if err != nil || !filepath.IsLocal(relative) {
				return "", refusal{at, fmt.Sprintf("the link %s leads out of the module, to %s, and nothing there is read or written: put the files into the module instead", r.link(exists), real)}
			}
			return filepath.ToSlash(filepath.Join(relative, rest)), nil
		}
		if target, err := os.Readlink(filepath.Join(r.real, exists)); err == nil {
			return "", refusal{at, fmt.Sprintf("a broken link: %s leads to %s, where nothing is: remove it", filepath.ToSlash(exists), target)}
		}
		if exists == "." {
			return "", err
		}
		exists, rest = filepath.Dir(exists), filepath.Join(filepath.Base(exists), rest)
	}
}

// fileIn returns the part of a path that is a file; "" if there is none.
func (r *Root) fileIn(at string) string {
	for ; at != "."; at = filepath.Dir(at) {
		if info, err := os.Stat(filepath.Join(r.real, at)); err == nil && info.Mode().IsRegular() {
			return filepath.ToSlash(at)
		}
	}
	return ""
}

// link returns the first link in a path.
func (r *Root) link(at string) string {
	names := strings.Split(at, string(filepath.Separator))
	for n := range names {
		one := filepath.Join(names[:n+1]...)
		if info, err := os.Lstat(filepath.Join(r.real, one)); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return filepath.ToSlash(one)
		}
	}
	return filepath.ToSlash(at)
}

// Read returns the content of a file. One that does not exist is an error that is
// [fs.ErrNotExist].
func (r *Root) Read(at string) (text []byte, err error) {
	err = r.open(at, os.O_RDONLY, func(file *os.File, size int64) error {
		text = make([]byte, 0, size+1)
		for {
			n, err := file.Read(text[len(text):cap(text)])
			text = text[:len(text)+n]
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if len(text) == cap(text) {
				text = slices.Grow(text, 512)
			}
		}
	})
	return text, err
}

// Head reads the beginning of a file, as much as a buffer holds.
func (r *Root) Head(at string, buffer []byte) (head []byte, err error) {
	err = r.open(at, os.O_RDONLY, func(file *os.File, _ int64) error {
		n, err := io.ReadFull(file, buffer)
		head = buffer[:n]
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = nil
		}
		return err
	})
	return head, err
}

// open opens a file for reading or writing. O_NONBLOCK is for pipes, which could not be
// opened otherwise before somebody opens the other end; for files it means nothing.
func (r *Root) open(at string, flag int, use func(file *os.File, size int64) error) error {
	return r.within(at, func(local string) error {
		folder, name, err := r.near(local)
		if err != nil {
			return err
		}
		file, err := folder.OpenFile(name, flag|syscall.O_NONBLOCK, 0)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return err
		case err != nil:
			if info, statErr := folder.Stat(name); statErr == nil && mustBeFile(at, info) != nil { // it may not be opened then
				return mustBeFile(at, info)
			}
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		if err := mustBeFile(at, info); err != nil {
			return err
		}
		return use(file, info.Size())
	})
}

// mustBeFile returns an error for what is not a file.
func mustBeFile(at string, info fs.FileInfo) error {
	what, then := "a device", "remove it"
	switch kind := info.Mode().Type(); {
	case kind == 0:
		return nil
	case kind&fs.ModeDir != 0:
		what, then = "a folder", "move it away"
	case kind&fs.ModeNamedPipe != 0:
		what = "a pipe"
	case kind&fs.ModeSocket != 0:
		what = "a socket"
	}
	return refusal{at, what + " is there, but it must be a file: " + then}
}

// Stat returns what is at a path, after links.
func (r *Root) Stat(at string) (info fs.FileInfo, err error) {
	err = r.within(at, func(at string) error {
		folder, name, err := r.near(at)
		if err == nil {
			info, err = folder.Stat(name)
		}
		return err
	})
	return info, err
}

// Lstat returns what is at a path: a link is not followed there.
func (r *Root) Lstat(at string) (info fs.FileInfo, err error) {
	err = r.within(at, func(at string) error {
		folder, name, err := r.near(at)
		if err == nil {
			info, err = folder.Lstat(name)
		}
		return err
	})
	return info, err
}

// List returns what is in a folder, in the order of the names.
func (r *Root) List(dir string) (entries []fs.DirEntry, err error) {
	err = r.within(dir, func(at string) error {
		parent, _, err := r.near(filepath.Join(at, "_"))
		if err != nil {
			return err
		}
		name := "."
		if parent == r.disk {
			name = at
		}
		folder, err := parent.Open(name)
		if err != nil {
			return err
		}
		entries, err = folder.ReadDir(-1)
		return errors.Join(err, folder.Close())
	})
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return entries, err
}

// Create makes a file that does not exist, for writing.
func (r *Root) Create(at string, mode fs.FileMode) (file *os.File, err error) {
	err = r.within(at, func(at string) error {
		file, err = r.disk.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		return err
	})
	return file, err
}

// Mkdir makes a folder.
func (r *Root) Mkdir(dir string) error {
	r.mutex.Lock()
	clear(r.missing)
	r.mutex.Unlock()
	return r.within(dir, func(at string) error { return r.disk.Mkdir(at, 0o777) })
}

// Remove removes a file, a link or an empty folder.
func (r *Root) Remove(at string) error { return r.within(at, r.disk.Remove) }

// Rename gives a file the name of another one, which it replaces. Both paths must be
// without links ([Root.Resolve]).
func (r *Root) Rename(from, to string) error {
	return r.disk.Rename(filepath.FromSlash(from), filepath.FromSlash(to))
}

// Glob returns what is at paths that match a pattern, as [path.Match] does.
func (r *Root) Glob(pattern string) ([]string, error) { return fs.Glob(r.disk.FS(), pattern) }
