//go:build unix

// Package moduleproxy makes a Go module proxy of a folder: it serves this repository as
// it is on disk, as a released version. So go install MODULE/cmd/…@latest and go tool can
// be tried before there is a release, exactly as a user would.
package moduleproxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// A Proxy is a folder that the Go command can read as a module proxy.
type Proxy struct {
	Dir     string
	Module  string // the module path of the repository
	Version string

	held *os.File // locked for as long as the version is in use
}

// Write packs the files of the repository at root into dir, as a version of its module.
// The files are those that git knows, and new ones that it does not ignore, as they are
// on disk. The version is another one each time, so that the module cache of the machine
// has no other files under it: [Proxy.Forget] removes it from there. Write removes those
// of processes that have ended without doing so. It returns an error if the Go command
// would refuse the module: for the name of a file, for two names that differ only in case,
// or for its size.
func Write(dir, root string) (p Proxy, err error) {
	goMod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return Proxy{}, err
	}
	now := time.Now().UTC()
	version := fmt.Sprintf("v0.1.%d", now.UnixMicro())
	p = Proxy{Dir: dir, Module: modfile.ModulePath(goMod), Version: version}
	escaped, err := module.EscapePath(p.Module)
	if err != nil {
		return Proxy{}, fmt.Errorf("%s: %w", filepath.Join(root, "go.mod"), err)
	}
	if err := p.hold(); err != nil {
		return Proxy{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Forget())
		}
	}()
	files, err := list(root)
	if err != nil {
		return Proxy{}, err
	}
	versions := filepath.Join(dir, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		return Proxy{}, err
	}
	packed, err := os.Create(filepath.Join(versions, version+".zip"))
	if err != nil {
		return Proxy{}, err
	}
	err = zip.Create(packed, module.Version{Path: p.Module, Version: version}, files)
	if err := errors.Join(err, packed.Close()); err != nil {
		return Proxy{}, fmt.Errorf("%s can't be a Go module: %w", root, err)
	}
	info, err := json.Marshal(map[string]any{"Version": version, "Time": now})
	if err != nil {
		return Proxy{}, err
	}
	for name, data := range map[string][]byte{"list": []byte(version + "\n"), version + ".info": info, version + ".mod": goMod} {
		if err := os.WriteFile(filepath.Join(versions, name), data, 0o644); err != nil {
			return Proxy{}, err
		}
	}
	return p, nil
}

// Env returns the environment variables with which the Go command asks this proxy first,
// and next where the machine gets its modules from. No checksum database knows the
// module: only for it none is asked.
func (p Proxy) Env() ([]string, error) {
	out, err := exec.Command("go", "env", "GOPROXY", "GONOSUMDB").Output()
	if err != nil {
		return nil, err
	}
	usual := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(usual) != 2 {
		return nil, fmt.Errorf("go env prints %q, want two lines", out)
	}
	env := []string{"GOPROXY=file://" + filepath.ToSlash(p.Dir), "GONOSUMDB=" + p.Module}
	for i, value := range usual {
		if value != "" {
			env[i] += "," + value
		}
	}
	return env, nil
}

// Forget removes the version from the module cache of the machine.
func (p Proxy) Forget() error {
	unpacked, downloads, err := p.cached()
	if err != nil {
		return err
	}
	err = forget(unpacked, downloads, p.Version)
	if closed := p.held.Close(); !errors.Is(closed, fs.ErrClosed) { // it was forgotten before
		err = errors.Join(err, closed)
	}
	return err
}

// heldFile ends the name of a file beside what the module cache has of a version. Its lock
// ends with the process that holds it, however that ends. So it shows whether the version
// is in use.
const heldFile = ".held"

// hold marks the version as in use, and removes those that no longer are.
func (p *Proxy) hold() error {
	unpacked, downloads, err := p.cached()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(downloads, 0o755); err != nil {
		return err
	}
	left, err := filepath.Glob(filepath.Join(downloads, "*"+heldFile))
	if err != nil {
		return err
	}
	for _, name := range left {
		file, err := os.Open(name)
		if err != nil {
			continue // another process has removed it just now
		}
		if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			err = forget(unpacked, downloads, strings.TrimSuffix(filepath.Base(name), heldFile))
		}
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	p.held, err = os.Create(filepath.Join(downloads, p.Version+heldFile))
	if err != nil {
		return err
	}
	return syscall.Flock(int(p.held.Fd()), syscall.LOCK_EX)
}

// cached returns where the module cache of the machine has the module: the path of its
// unpacked files, without the version, and the folder of its downloads.
func (p Proxy) cached() (unpacked, downloads string, err error) {
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return "", "", err
	}
	escaped, err := module.EscapePath(p.Module)
	if err != nil {
		return "", "", err
	}
	cache := strings.TrimSuffix(string(out), "\n")
	return filepath.Join(cache, filepath.FromSlash(escaped)), filepath.Join(cache, "cache", "download", filepath.FromSlash(escaped), "@v"), nil
}

// forget removes what the module cache has of a version. The Go command makes folders
// there that can't be written.
func forget(unpacked, downloads, version string) error {
	files, err := filepath.Glob(filepath.Join(downloads, version+".*"))
	if err != nil {
		return err
	}
	for _, path := range append(files, filepath.Join(downloads, "list"), unpacked+"@"+version) {
		if err := RemoveAll(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// RemoveAll removes path and what is in it, like os.RemoveAll, also where the Go command
// made folders read-only, as it does in a module cache.
func RemoveAll(path string) error {
	err := filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return os.Chmod(path, 0o755)
	})
	return errors.Join(err, os.RemoveAll(path))
}

// list returns the files that are or would be in a commit of the repository.
func list(root string) ([]zip.File, error) {
	git := exec.Command("git", "ls-files", "-z", "--deduplicate", "--cached", "--others", "--exclude-standard")
	git.Dir = root
	out, err := git.Output()
	if err != nil {
		return nil, fmt.Errorf("git does not list the files of %s: %w", root, err)
	}
	var files []zip.File
	for name := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte{0}), []byte{0}) {
		f := file{root, string(name)}
		if _, err := f.Lstat(); errors.Is(err, os.ErrNotExist) {
			continue // deleted, and not yet committed
		}
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b zip.File) int { return strings.Compare(a.Path(), b.Path()) })
	return files, nil
}

// file is a file of the repository.
type file struct{ root, name string }

func (f file) Path() string                 { return f.name }
func (f file) Lstat() (os.FileInfo, error)  { return os.Lstat(f.disk()) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(f.disk()) }
func (f file) disk() string                 { return filepath.Join(f.root, filepath.FromSlash(f.name)) }
