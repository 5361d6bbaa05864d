package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
)

// GoMod is the go.mod of a module.
type GoMod struct {
	at   string
	file *modfile.File
}

// ReadGoMod reads the go.mod in a folder.
func ReadGoMod(root string) (*GoMod, error) {
	at := filepath.Join(root, "go.mod")
	text, err := os.ReadFile(at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no go.mod in %s: run go mod init there, or say with root=DIR where the module is "+
			"(and make that the output, too)", nameOf(root))
	}
	if err != nil {
		return nil, err
	}
	file, err := modfile.Parse(at, text, nil)
	if err != nil {
		return nil, err
	}
	if file.Module == nil {
		return nil, fmt.Errorf("%s names no module: add the line module PATH", at)
	}
	return &GoMod{at: at, file: file}, nil
}

func nameOf(root string) string {
	if absolute, err := filepath.Abs(root); err == nil {
		return absolute
	}
	return root
}

// Path is the module's path.
func (m *GoMod) Path() string { return m.file.Module.Mod.Path }

// Tool reports whether the module has a program among its tools.
func (m *GoMod) Tool(path string) bool {
	return slices.ContainsFunc(m.file.Tool, func(t *modfile.Tool) bool { return t.Path == path })
}

// Missing are the modules that the runtime needs with some engines of the event
// log, and go.mod does not require.
// go mod tidy would choose their newest versions, with which nothing was tested.
func (m *GoMod) Missing(engines []string) []module.Version {
	missing := runtime.Requirements(engines)
	return slices.DeleteFunc(missing, func(need module.Version) bool {
		return slices.ContainsFunc(m.file.Require, func(r *modfile.Require) bool { return r.Mod.Path == need.Path })
	})
}

// Require writes go.mod with requirements added.
func (m *GoMod) Require(missing []module.Version) error {
	for _, need := range missing {
		if err := m.file.AddRequire(need.Path, need.Version); err != nil {
			return err
		}
	}
	m.file.Cleanup()
	text, err := m.file.Format()
	if err != nil {
		return err
	}
	return os.WriteFile(m.at, text, 0o644)
}
