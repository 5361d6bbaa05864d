package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

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

// Path returns the module's path.
func (m *GoMod) Path() string { return m.file.Module.Mod.Path }

// Provides reports whether a package is one of the module, or can be one of the
// modules that it requires, or will with the runtime, or of its workspace.
func (m *GoMod) Provides(importPath string) bool {
	within := func(path string) bool { return importPath == path || strings.HasPrefix(importPath, path+"/") }
	return within(m.Path()) ||
		slices.ContainsFunc(m.file.Require, func(r *modfile.Require) bool { return within(r.Mod.Path) }) ||
		slices.ContainsFunc(m.Missing(runtime.Engines), func(v module.Version) bool { return within(v.Path) }) ||
		slices.ContainsFunc(m.file.Replace, func(r *modfile.Replace) bool { return within(r.Old.Path) }) ||
		os.Getenv("GOWORK") != "off" && inWorkspace(m.at)
}

// inWorkspace reports whether there is a go.work in a folder above a go.mod.
func inWorkspace(gomod string) bool {
	dir, err := filepath.Abs(filepath.Dir(gomod))
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return true
		}
		if filepath.Dir(dir) == dir {
			return false
		}
		dir = filepath.Dir(dir)
	}
	return false
}

// Tool reports whether the module has a program among its tools.
func (m *GoMod) Tool(path string) bool {
	return slices.ContainsFunc(m.file.Tool, func(t *modfile.Tool) bool { return t.Path == path })
}

// Missing returns the modules that the runtime needs with some engines of the event
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
