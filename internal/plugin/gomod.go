package plugin

import (
	"errors"
	"fmt"
	"go/version"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
)

// GoMod is the go.mod of a module.
type GoMod struct {
	at   string
	text string
	file *modfile.File
}

// ReadGoMod reads the go.mod in a folder.
func ReadGoMod(root string) (*GoMod, error) {
	at := filepath.Join(root, "go.mod")
	text, err := readGoMod(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no go.mod in %s: run go mod init there, or set root=DIR to the folder of go.mod, "+
			"and make it the output folder, too", nameOf(root))
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
	return &GoMod{at: at, text: string(text), file: file}, nil
}

func readGoMod(root string) ([]byte, error) {
	disk, err := keep.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer disk.Close()
	return disk.Read("go.mod")
}

func nameOf(root string) string {
	if absolute, err := filepath.Abs(root); err == nil {
		return absolute
	}
	return root
}

// Text returns what the file contained when it was read.
func (m *GoMod) Text() string { return m.text }

// Path returns the module's path.
func (m *GoMod) Path() string { return m.file.Module.Mod.Path }

// Go returns the minor version of Go that the module and the runtime need: "1.26".
func (m *GoMod) Go() string {
	need := "go" + runtime.Go.Version
	if m.file.Go != nil && version.Compare("go"+m.file.Go.Version, need) > 0 {
		need = "go" + m.file.Go.Version
	}
	return strings.TrimPrefix(version.Lang(need), "go")
}

// Provides reports whether a package is one of the module, or can be one of the
// modules that it requires, or will with the runtime, or of its workspace.
func (m *GoMod) Provides(importPath string) bool {
	within := func(path string) bool { return importPath == path || strings.HasPrefix(importPath, path+"/") }
	return within(m.Path()) ||
		slices.ContainsFunc(m.file.Require, func(r *modfile.Require) bool { return within(r.Mod.Path) }) ||
		slices.ContainsFunc(m.Missing(runtime.Requirements()), func(v module.Version) bool { return within(v.Path) }) ||
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

// Missing returns those of the modules that a run needs which go.mod does not
// require, at the versions that were tested.
// go mod tidy would choose their newest versions, with which nothing was tested.
func (m *GoMod) Missing(needs []runtime.Requirement) (missing []module.Version) {
	for _, need := range needs {
		if version := (module.Version{Path: need.Path, Version: need.Version}); m.required(need.Path) == "" && !m.excludes(version) {
			missing = append(missing, version)
		}
	}
	return missing
}

// The packages of ofRPC were in monolith until they became a module of their own:
// Go calls an import ambiguous that both of them have.
const (
	monolith = "google.golang.org/genproto"
	ofRPC    = "google.golang.org/genproto/googleapis/rpc"
	split    = "v0.0.0-20230526203410-71b5a4ffd15e" // the first monolith without them
)

// Outdated returns what go.mod requires in a version too old to build with what a
// run needs, at the versions that were tested: what go get takes to mend it. Go is
// one of them.
func (m *GoMod) Outdated(needs []runtime.Requirement) (outdated []module.Version) {
	if m.file.Go != nil && version.Compare("go"+m.file.Go.Version, "go"+runtime.Go.Least) < 0 {
		outdated = append(outdated, module.Version{Path: "go", Version: runtime.Go.Version})
	}
	judge := func(need runtime.Requirement) {
		if required := m.required(need.Path); required != "" && semver.Compare(required, need.Least) < 0 && m.replacement(need.Path) == nil {
			outdated = append(outdated, module.Version{Path: need.Path, Version: need.Version})
		}
	}
	for _, need := range needs {
		judge(need)
		if need.Path == ofRPC {
			judge(runtime.Requirement{Path: monolith, Version: need.Version, Least: split})
		}
	}
	return outdated
}

// Obstacles returns a line for each directive of go.mod, other than a requirement,
// that keeps what a run needs from its build: one that replaces a module by a
// version that is too old, or excludes the version that was tested. What replaces
// a module by a folder or another module is not judged.
func (m *GoMod) Obstacles(needs []runtime.Requirement) (lines []string) {
	for _, need := range needs {
		tested := module.Version{Path: need.Path, Version: need.Version}
		if r := m.replacement(need.Path); r != nil && r.New.Path == need.Path && semver.Compare(r.New.Version, need.Least) < 0 {
			old := strings.TrimSuffix(r.Old.Path+"@"+r.Old.Version, "@")
			lines = append(lines, fmt.Sprintf("%s replaces %s by %s, which is too old for the code to build: go mod edit -dropreplace=%s, then go get %s",
				m.at, need.Path, r.New.Version, old, tested))
		}
		if required := m.required(need.Path); m.excludes(tested) && (required == "" || required == need.Version) {
			lines = append(lines, fmt.Sprintf("%s excludes %s, with which the code was tested: require a newer version, or go mod edit -dropexclude=%s, then go get %s",
				m.at, tested, tested, tested))
		}
	}
	return lines
}

// required returns the version in which go.mod requires a module, or of Go; or "".
func (m *GoMod) required(path string) string {
	if path == "go" && m.file.Go != nil {
		return m.file.Go.Version
	}
	for _, r := range m.file.Require {
		if r.Mod.Path == path {
			return r.Mod.Version
		}
	}
	return ""
}

// replacement returns what go.mod has instead of the required version of a module;
// nil for nothing.
func (m *GoMod) replacement(path string) *modfile.Replace {
	required := m.required(path)
	i := slices.IndexFunc(m.file.Replace, func(r *modfile.Replace) bool {
		return r.Old.Path == path && (r.Old.Version == "" || r.Old.Version == required)
	})
	if i < 0 {
		return nil
	}
	return m.file.Replace[i]
}

// excludes reports whether go.mod excludes a version of a module.
func (m *GoMod) excludes(version module.Version) bool {
	return slices.ContainsFunc(m.file.Exclude, func(e *modfile.Exclude) bool { return e.Mod == version })
}

// Require returns go.mod with requirements added.
func (m *GoMod) Require(missing []module.Version) (keep.File, error) {
	for _, need := range missing {
		if err := m.file.AddRequire(need.Path, need.Version); err != nil {
			return keep.File{}, err
		}
	}
	m.file.Cleanup()
	text, err := m.file.Format()
	return keep.File{Path: "go.mod", Content: text}, err
}
