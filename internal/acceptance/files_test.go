package acceptance

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// contents returns the files below a folder, by their names with slashes. One that is
// deleted meanwhile, as a temporary file is, may be missing.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		var text []byte
		if err == nil && !entry.IsDir() {
			if text, err = os.ReadFile(at); err == nil {
				name, _ := filepath.Rel(dir, at)
				all[filepath.ToSlash(name)] = text
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// goFiles returns those of the files that are in Go.
func goFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := contents(t, dir)
	maps.DeleteFunc(all, func(name string, _ []byte) bool { return filepath.Ext(name) != ".go" })
	return all
}

// versions matches the lines of a .pb.go with the versions of what made it.
var versions = regexp.MustCompile(`(?m)^// (-|\t)\s*protoc(-gen-go|-gen-go-grpc)? .*$`)

// tree returns the Go files, with .pb.go files without their version lines.
func tree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := goFiles(t, dir)
	for name, text := range all {
		if strings.HasSuffix(name, ".pb.go") {
			all[name] = versions.ReplaceAll(text, nil)
		}
	}
	return all
}

// output is what a program has printed so far.
type output struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (o *output) Write(text []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.Write(text)
}

func (o *output) printed() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.String()
}
