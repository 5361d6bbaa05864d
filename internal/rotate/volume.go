//go:build unix

package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
)

// volume is a folder of files that are replaced as the kubelet replaces those of a
// secret: each is a link to a file of the same name in ..data, which is a link to a
// folder. A new folder is written, and the link to it takes the place of the old one at
// one moment.
type volume struct {
	dir     string
	content map[string][]byte // what is there now
	version int
}

func newVolume(dir string, content map[string][]byte) (*volume, error) {
	v := &volume{dir: dir}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if err := v.swap(content); err != nil {
		return nil, err
	}
	for name := range content {
		if err := v.link(name); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (v *volume) path(name string) string { return filepath.Join(v.dir, name) }

// link makes the link of a file.
func (v *volume) link(name string) error {
	return os.Symlink(filepath.Join("..data", name), v.path(name))
}

// swap replaces all files.
func (v *volume) swap(content map[string][]byte) error {
	v.version++
	current := fmt.Sprintf("..2026_%d", v.version)
	if err := os.Mkdir(v.path(current), 0o755); err != nil {
		return err
	}
	for name, text := range content {
		if err := os.WriteFile(v.path(filepath.Join(current, name)), text, 0o600); err != nil {
			return err
		}
	}
	previous, _ := os.Readlink(v.path("..data"))
	err := errors.Join(os.Symlink(current, v.path("..data_tmp")), os.Rename(v.path("..data_tmp"), v.path("..data")))
	if err == nil && previous != "" {
		err = os.RemoveAll(v.path(previous))
	}
	v.content = content
	return err
}

// with returns the content with some files replaced.
func (v *volume) with(files map[string][]byte) map[string][]byte {
	content := maps.Clone(v.content)
	maps.Copy(content, files)
	return content
}
