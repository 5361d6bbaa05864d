package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// A release is this checkout as the Go command gets a released version: from a module
// proxy, which is a folder. So pages install it and pin it in go.mod as their readers
// do.
type release struct {
	module.Version
	proxy string
}

// publish makes a release of the module in a folder, below another one.
func publish(repository, proxy string) (r release, err error) {
	manifest, err := os.ReadFile(filepath.Join(repository, "go.mod"))
	if err != nil {
		return r, err
	}
	r.proxy = proxy
	r.Path = modfile.ModulePath(manifest)
	files, err := sources(repository)
	if err != nil {
		return r, err
	}
	at := filepath.Join(proxy, filepath.FromSlash(r.Path), "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		return r, err
	}
	// What is in a version never changes: so it is named after what is in it.
	hash := sha256.New()
	for _, file := range files {
		text, err := os.ReadFile(file.(source).at)
		if err != nil {
			return r, err
		}
		fmt.Fprintf(hash, "%s %d\n%s", file.Path(), len(text), text)
	}
	r.Version.Version = fmt.Sprintf("v0.0.0-docs.h%x", hash.Sum(nil)[:6])
	archive, err := os.Create(filepath.Join(at, r.Version.Version+".zip"))
	if err != nil {
		return r, err
	}
	defer archive.Close()
	if err := zip.Create(archive, r.Version, files); err != nil {
		return r, err
	}
	info, err := json.Marshal(map[string]any{"Version": r.Version.Version, "Time": time.Unix(0, 0).UTC()})
	if err != nil {
		return r, err
	}
	for name, text := range map[string]string{
		"list":                      r.Version.Version + "\n",
		r.Version.Version + ".info": string(info),
		r.Version.Version + ".mod":  string(manifest),
	} {
		if err := os.WriteFile(filepath.Join(at, name), []byte(text), 0o644); err != nil {
			return r, err
		}
	}
	return r, archive.Close()
}

// withdraw removes the release from the cache of the Go command.
func (r release) withdraw() error {
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return err
	}
	root := strings.TrimSpace(string(cache))
	if err := remove(filepath.Join(root, filepath.FromSlash(r.Path)+"@"+r.Version.Version)); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(root, "cache", "download", filepath.FromSlash(r.Path), "@v", r.Version.Version+".*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}

// env returns the variables with which the Go command finds the release.
func (r release) env() []string {
	proxies, err := exec.Command("go", "env", "GOPROXY").Output()
	if err != nil || len(proxies) == 0 {
		proxies = []byte("https://proxy.golang.org,direct")
	}
	return []string{
		"GOPROXY=file://" + filepath.ToSlash(r.proxy) + "," + strings.TrimSpace(string(proxies)),
		"GONOSUMDB=" + r.Path, // which no one but us has
	}
}

// source is a file of a module.
type source struct{ path, at string }

func (s source) Path() string                 { return s.path }
func (s source) Lstat() (fs.FileInfo, error)  { return os.Lstat(s.at) }
func (s source) Open() (io.ReadCloser, error) { return os.Open(s.at) }

// sources returns the files that a release of a module has: all except hidden ones,
// testdata, and modules within it.
func sources(root string) (files []zip.File, err error) {
	err = filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || at == root {
			return err
		}
		if entry.IsDir() {
			_, err := os.Stat(filepath.Join(at, "go.mod"))
			if strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || err == nil {
				return fs.SkipDir
			}
			return nil
		}
		path, err := filepath.Rel(root, at)
		if err != nil || !entry.Type().IsRegular() || strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		files = append(files, source{path: filepath.ToSlash(path), at: at})
		return nil
	})
	return files, err
}
