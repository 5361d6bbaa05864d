package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
)

// makeDirectory makes a directory that only its owner can use, if there is none,
// and the missing ones above it. It returns once their entries are on the device.
// (SQLite syncs the entries of its own files.)
func makeDirectory(dir string) error {
	var missing []string
	for d := dir; d != filepath.Dir(d); d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, d)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, made := range slices.Backward(missing) {
		if err := syncDirectory(filepath.Dir(made)); err != nil {
			return err
		}
	}
	return nil
}

// syncDirectory makes the device store the entries of a directory, where that is
// possible: not on Windows, not on every file system, and not for a user who may
// write into the directory but not read it.
var syncDirectory = func(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	file, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	if err = file.Sync(); errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		err = nil
	}
	return errors.Join(err, file.Close())
}

// creating is locked while a file is created. When a process closes a file, POSIX
// ends all locks that it has on that file, even if it has the file open elsewhere:
// SQLite's locks, too. So nothing in this process may open the file before its
// creator has closed it, and afterwards only SQLite may.
var creating sync.Mutex

// createPrivate creates a file that only its owner can use, if there is none. For
// SQLite an empty file is an empty database, and its other files get the same mode.
func createPrivate(path string) error {
	creating.Lock()
	defer creating.Unlock()
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(file.Chmod(0o600), file.Close()) // Chmod: whatever the umask
}

// findCreated returns nil if a file exists.
func findCreated(path string) error {
	creating.Lock()
	defer creating.Unlock()
	_, err := os.Stat(path)
	return err
}
