package plugin

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
)

// addRuntime adds the copy of the runtime to the files that a run writes, if
// the module has one. These files are all of the module's code that the run
// makes, so what they import is known here.
func addRuntime(files []keep.File, disk *keep.Module, target *model.Module, engines []string) ([]keep.File, error) {
	if !target.Copied || len(target.Packages) == 0 {
		return files, nil
	}
	outputs, err := copies(target, engines)
	if err != nil {
		return nil, err
	}
	copied, err := disk.Decide(outputs)
	if err != nil {
		return nil, err
	}
	files = append(files, copied...)
	slices.SortFunc(files, func(a, b keep.File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// copies returns the files of the runtime, as files of the module.
func copies(target *model.Module, engines []string) (outputs []keep.Output, err error) {
	err = fs.WalkDir(runtime.Source, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || !runtime.Needed(name, engines) {
			return err
		}
		outputs = append(outputs, keep.Output{
			Path:   path.Join(model.RuntimeDir, name),
			Owner:  keep.Ours,
			Render: func() ([]byte, error) { return copied(name, target.Runtime) },
		})
		return nil
	})
	return outputs, err
}

// copied returns a file of the runtime whose packages have another import path.
func copied(name, importPath string) ([]byte, error) {
	text, err := fs.ReadFile(runtime.Source, name)
	moved := strings.ReplaceAll(string(text), `"`+runtime.Path+`/`, `"`+importPath+`/`)
	return []byte("// " + keep.Marker + "\n\n" + moved), err
}
