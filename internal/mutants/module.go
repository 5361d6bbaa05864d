package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// module is generated code with its tests, into which mistakes are planted.
type module struct {
	dir     string   // below the repository
	runtime string   // the folder of its runtime, below the repository
	prefix  string   // of the import paths of dir
	own     []string // packages that mistakes may use, below dir
	// user is a folder of what a user wrote: its files replace those of dir, or are
	// added. Empty if the module is as it was generated.
	user string
}

var (
	// receiver is the demo, as generated.
	receiver = &module{
		dir:     "examples/receiver",
		runtime: "examples/receiver/internal/receiver-runtime",
		prefix:  "example.com/receiver",
		own:     []string{"gen/receiverpb", "gen/receiverpb/receiverevents", "internal/receiver"},
	}
	// kinds has an RPC of each kind. The plain ones are written by a user, and so is what
	// becomes of stored events.
	kinds = &module{
		dir:     "testdata/kinds/golden",
		runtime: "runtime",
		prefix:  thisRepository + "/testdata/kinds/golden",
		own:     []string{"gen/kindspb", "gen/kindspb/kindsevents", "internal/kinds/v1/intake"},
		user:    "internal/mutants/testdata/kinds",
	}
)

const thisRepository = "github.com/protoc-gen-receiver/protoc-gen-receiver"

// file returns the path of a file below the repository.
func (m *module) file(name string) string {
	if within, ok := strings.CutPrefix(name, "runtime/"); ok {
		return path.Join(m.runtime, within)
	}
	return path.Join(m.dir, name)
}

// imports are the packages that mistakes in the module may use.
func (m *module) imports() []string {
	runtime := thisRepository + "/runtime"
	if below, ok := strings.CutPrefix(m.runtime, m.dir); ok {
		runtime = m.prefix + below
	}
	known := append([]string{runtime + "/eventid", runtime + "/eventlog", runtime + "/server"}, standard...)
	for _, below := range m.own {
		known = append(known, m.prefix+"/"+below)
	}
	return known
}

// written returns the files of the user: for each path below the repository, where its
// text is.
func (m *module) written(root string) (map[string]string, error) {
	files := map[string]string{}
	if m.user == "" {
		return files, nil
	}
	from := filepath.Join(root, m.user)
	err := filepath.WalkDir(from, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		below, err := filepath.Rel(from, at)
		files[path.Join(m.dir, filepath.ToSlash(below))] = at
		return err
	})
	return files, err
}

// packages returns the folders whose tests may see a change of a file, below dir. The
// file's own is first. What a user wrote is called by tests beside it, and by programs.
func (m *module) packages(root, changed string) (dirs []string, err error) {
	own, ok := strings.CutPrefix(path.Dir(changed), m.dir+"/")
	users := ok && strings.HasPrefix(own, "internal/") && !strings.HasPrefix(changed, m.runtime)
	top := filepath.Join(root, m.dir)
	err = filepath.WalkDir(top, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(at, "_test.go") {
			return err
		}
		dir, err := filepath.Rel(top, filepath.Dir(at))
		if dir = filepath.ToSlash(dir); !slices.Contains(dirs, dir) && (!users || dir == own || strings.HasPrefix(dir, "cmd/")) {
			dirs = append(dirs, dir)
		}
		return err
	})
	if i := slices.Index(dirs, own); i > 0 {
		dirs = slices.Insert(slices.Delete(dirs, i, i+1), 0, own)
	}
	if len(dirs) == 0 && err == nil {
		err = errors.New("there are no tests in " + m.dir)
	}
	return dirs, err
}

// repository returns the folder of this repository.
func repository(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", thisRepository).Output()
	if err != nil {
		return "", errors.New("run this within the repository: its module was not found")
	}
	return strings.TrimSpace(string(out)), nil
}

// reader returns a function that returns the text of a file below the repository, as
// the user wrote it.
func (m *module) reader(root string) (func(string) (string, error), error) {
	written, err := m.written(root)
	return func(file string) (string, error) {
		at, ok := written[file]
		if !ok {
			at = filepath.Join(root, file)
		}
		text, err := os.ReadFile(at)
		return string(text), err
	}, err
}
