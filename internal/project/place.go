package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// module returns the path of the module, after the go.mod that is there.
func (p *plan) module() (string, error) {
	if strings.Contains(p.dir, ",") {
		return "", wrongUse("--dir %s: a comma separates options, so the folder's name must not have one: go there, and leave out --dir", p.dir)
	}
	at := filepath.Join(p.dir, "go.mod")
	text, err := os.ReadFile(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", err
	default:
		if p.gomod, err = modfile.Parse(at, text, nil); err != nil {
			return "", err
		}
		if p.gomod.Module == nil {
			return "", fmt.Errorf("%s names no module: add the line module PATH", at)
		}
		if own := p.gomod.Module.Mod.Path; p.config.Module != "" && p.config.Module != own {
			return "", fmt.Errorf("%s is that of the module %s, not of %s: to add a service to it, leave the module out; to make another module, give its folder with --dir", at, own, p.config.Module)
		}
		return p.gomod.Module.Mod.Path, nil
	}
	if p.config.Module == "" {
		return "", errNoModule
	}
	if err := module.CheckImportPath(p.config.Module); err != nil {
		return "", wrongUse("%s can't be the path of a module (%v): want one such as example.com/orders", p.config.Module, err)
	}
	if _, _, ok := module.SplitPathVersion(p.config.Module); !ok {
		return "", wrongUse("%s can't be the path of a module, because of the version at its end: want one such as example.com/orders or example.com/orders/v2", p.config.Module)
	}
	if isGos(p.config.Module) {
		return "", wrongUse("%s can't be the path of a module, because it begins like a package of Go itself: want one such as example.com/%[1]s", p.config.Module)
	}
	if err := p.inWorkspace(); err != nil {
		return "", err
	}
	return p.config.Module, p.notWithin()
}

// inWorkspace returns an error if the folder is in that of a go.work that does not use
// it: there the Go command would refuse to build the module.
func (p *plan) inWorkspace() error {
	dir, err := filepath.Abs(p.dir)
	if err != nil || os.Getenv("GOWORK") == "off" {
		return err
	}
	for above := dir; ; above = filepath.Dir(above) {
		at := filepath.Join(above, "go.work")
		if text, err := os.ReadFile(at); err == nil {
			work, err := modfile.ParseWork(at, text, nil)
			if err != nil {
				return err
			}
			own := "./" + within(above, dir)
			if slices.ContainsFunc(work.Use, func(use *modfile.Use) bool { return "./"+path.Clean(use.Path) == own }) {
				return nil
			}
			return fmt.Errorf("this folder is in the workspace of %s, which does not use it. First run there: go work edit -use=%s", at, own)
		}
		if above == filepath.Dir(above) {
			return nil
		}
	}
}

// isGos reports whether Go's own library begins with the first part of a path. A name
// with a dot is never there.
func isGos(modulePath string) bool {
	first, _, _ := strings.Cut(modulePath, "/")
	if strings.Contains(first, ".") {
		return false
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	return err == nil && isFolder(filepath.Join(strings.TrimSpace(string(root)), "src", first))
}

// notWithin returns an error if the folder is within another module, unless it was
// named: then it is meant to be a module of its own.
func (p *plan) notWithin() error {
	if p.config.Dir != "" {
		return nil
	}
	dir, err := filepath.Abs(p.dir)
	if err != nil {
		return err
	}
	for above := filepath.Dir(dir); ; above = filepath.Dir(above) {
		if _, err := os.Stat(filepath.Join(above, "go.mod")); err == nil {
			return fmt.Errorf("this folder is within the module of %s: to add a service to that, run this in %s; add \"--dir .\" to make a module of its own here", filepath.Join(above, "go.mod"), above)
		}
		if above == filepath.Dir(above) {
			return nil
		}
	}
}

// isFresh reports whether the folder has neither Go code nor other protos than those to
// build around, so that it gets all files of a project, not only the proto of a service.
func (p *plan) isFresh() (fresh bool, err error) {
	if p.gomod == nil {
		return true, nil
	}
	fresh = true
	err = filepath.WalkDir(p.dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && at != p.dir && (strings.HasPrefix(name, ".") || name == "vendor" || name == "node_modules" || name == "testdata") {
			return fs.SkipDir
		}
		if ext := filepath.Ext(name); ext == ".go" || ext == ".proto" && len(p.config.From) == 0 {
			fresh = false
			return fs.SkipAll
		}
		return nil
	})
	return fresh, err
}

// folder returns the folder of the module's protos: the first one of its buf.yaml, else
// proto.
func (p *plan) folder() (string, error) {
	const usual = "proto"
	at := filepath.Join(p.dir, "buf.yaml")
	text, err := os.ReadFile(at)
	if errors.Is(err, fs.ErrNotExist) {
		return usual, nil
	}
	if err != nil {
		return "", err
	}
	var config struct {
		Version string
		Modules []struct{ Path string }
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		return "", fmt.Errorf("%s can't be read, and it says where protos are: %w", at, err)
	}
	switch {
	case config.Version != "v2", len(config.Modules) == 0:
		return ".", nil
	case !filepath.IsLocal(config.Modules[0].Path):
		return "", fmt.Errorf("%s: its first module, in %s, is not below the folder: run this where it is, or name it in another order", at, config.Modules[0].Path)
	}
	return path.Clean(config.Modules[0].Path), nil
}

// has reports whether the go.mod that is there has a tool.
func (p *plan) has(tool string) bool {
	return p.gomod != nil && slices.ContainsFunc(p.gomod.Tool, func(t *modfile.Tool) bool { return t.Path == tool })
}

func isFolder(at string) bool {
	info, err := os.Stat(at)
	return err == nil && info.IsDir()
}

// within returns the path of a folder below another one; "" if it is not there.
func within(dir, folder string) string {
	from, err1 := filepath.Abs(dir)
	to, err2 := filepath.Abs(folder)
	relative, err3 := filepath.Rel(from, to)
	if errors.Join(err1, err2, err3) != nil || !filepath.IsLocal(relative) {
		return ""
	}
	return filepath.ToSlash(relative)
}
