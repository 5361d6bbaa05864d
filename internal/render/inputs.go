package render

import (
	"os"
	"path/filepath"
	"strings"
)

// Reads reports whether [Read] of a folder would read a file at a path, or complain
// about it.
func Reads(dir, at string) bool {
	name, err := filepath.Rel(dir, at)
	if err != nil || !filepath.IsLocal(name) {
		return false
	}
	name = filepath.ToSlash(name)
	return !strings.HasPrefix(name, ".") && (filepath.Ext(name) == ending || inScope(name) && !ignored(filepath.Base(name)))
}

// Inputs returns the files that [Read] of a folder reads or complains about, and the
// folders that it looks through. What can't be read is left out.
func Inputs(dir string) (files, folders []string) {
	var look func(at string, above []os.FileInfo)
	look = func(at string, above []os.FileInfo) {
		info, err := os.Stat(at)
		switch {
		case err != nil:
			return
		case !info.IsDir():
			if Reads(dir, at) {
				files = append(files, at)
			}
			return
		}
		for _, other := range above {
			if os.SameFile(info, other) {
				return
			}
		}
		folders = append(folders, at)
		entries, _ := os.ReadDir(at)
		for _, entry := range entries {
			if at != dir || !strings.HasPrefix(entry.Name(), ".") {
				look(filepath.Join(at, entry.Name()), append(above[:len(above):len(above)], info))
			}
		}
	}
	look(dir, nil)
	return files, folders
}
