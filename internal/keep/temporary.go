package keep

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// A file is written under a temporary name before it gets its own. The name has the
// machine and the process, by which a later run knows whether the run that made it
// still goes on.
var temporaryName = regexp.MustCompile(`^\.protoc-gen-receiver-([0-9a-f]{8})-([0-9]+)-[0-9A-Z]+$`)

// machine is this machine, or this container.
var machine = func() string {
	name, _ := os.Hostname()
	sum := fnv.New32a()
	sum.Write([]byte(name))
	return fmt.Sprintf("%08x", sum.Sum32())
}()

// CreateTemporary makes a file with a temporary name in a folder.
func (r *Root) CreateTemporary(dir string) (at string, file *os.File, err error) {
	at = path.Join(dir, fmt.Sprintf(".protoc-gen-receiver-%s-%d-%s", machine, os.Getpid(), rand.Text()))
	file, err = r.Create(at, 0o644)
	return at, file, err
}

// staleAfter is how old a temporary file must be before it is taken for that of a run
// that was killed, whatever its process: on another machine that can't be asked for, and
// in containers all runs may have the same number.
const staleAfter = time.Hour

// RemoveTemporary removes the files that killed runs left in a folder under temporary
// names.
func (r *Root) RemoveTemporary(dir string) error {
	entries, err := r.List(dir)
	if err != nil {
		return nil // there is no such folder, or what is wrong with it is found elsewhere
	}
	var errs []error
	for _, entry := range entries {
		if name := temporaryName.FindStringSubmatch(entry.Name()); name != nil && entry.Type().IsRegular() && abandoned(name[1], name[2], entry) {
			if err := r.Remove(path.Join(dir, entry.Name())); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// abandoned reports whether the run that made a temporary file is over.
func abandoned(of, process string, entry fs.DirEntry) bool {
	if pid, err := strconv.Atoi(process); err == nil && of == machine && runtime.GOOS != "windows" && !runs(pid) {
		return true
	}
	info, err := entry.Info()
	return err == nil && time.Since(info.ModTime()) > staleAfter
}

// runs reports whether there is a process with a number.
func runs(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer func() { _ = process.Release() }()
	err = process.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, fs.ErrPermission)
}
