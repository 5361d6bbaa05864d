package plugin

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
)

// reached returns the part of the runtime that a module's code reaches: what this
// run writes, and what is on disk besides.
func reached(target *model.Module, files []keep.File, onDisk []string) (runtime.Part, error) {
	imported := map[string]bool{}
	for _, name := range onDisk {
		imported[name] = true
	}
	for _, file := range files {
		if file.Leftover {
			continue
		}
		packages := keep.Imports(file.Content, target.Runtime)
		if len(packages) > 0 {
			packages = append(packages, runtime.Used(file.Content)...)
		}
		for _, name := range packages {
			imported[name] = true
		}
	}
	// Code may import what there never was: the compiler reports it.
	known := slices.DeleteFunc(everything(), func(name string) bool { return !imported[name] })
	return runtime.Reached(known...)
}

// everything returns all packages of the runtime, and all its optional files.
func everything() []string { return append(runtime.All(), runtime.Optional()...) }

// neededRuntime returns the part of the runtime that the module needs, and its files.
// Before any that are there are dropped, all code is searched for a use of them.
func neededRuntime(target *model.Module, files []keep.File, disk *keep.Module) (part runtime.Part, outputs []keep.Output, err error) {
	packages := disk.RuntimeImports(runtime.Used)
	for searched := false; ; searched = true {
		if part, err = reached(target, files, packages); err != nil {
			return part, nil, err
		}
		if outputs, err = copies(target, part); err != nil {
			return part, nil, err
		}
		if searched || !slices.ContainsFunc(disk.RuntimeLeftovers(outputs), func(file keep.File) bool { return ofRuntime(file.Path) }) {
			return part, outputs, nil
		}
		packages = append(packages, uses(files, disk)...)
	}
}

// anyUse reports whether any code uses the copy of the runtime.
func anyUse(files []keep.File, disk *keep.Module) bool {
	return len(disk.RuntimeImports(runtime.Used)) > 0 || len(uses(files, disk)) > 0
}

// uses returns the packages and files of the runtime that any code may use: all, if some
// of it can't be read.
func uses(files []keep.File, disk *keep.Module) []string {
	var leftovers []keep.File
	for _, file := range files {
		if file.Leftover {
			leftovers = append(leftovers, file)
		}
	}
	packages, complete := disk.RuntimeMentions(leftovers, runtime.Used)
	if !complete {
		return everything()
	}
	return packages
}

// ofRuntime reports whether a path is that of a file that the runtime has in this
// version.
func ofRuntime(at string) bool {
	name, ok := strings.CutPrefix(at, model.RuntimeDir+"/")
	if !ok {
		return false
	}
	_, err := fs.Stat(runtime.Source, name)
	return err == nil || name == "README.md" || name == "LICENSE.md"
}

// unneededRuntime returns the line about those leftovers that are in a folder of the
// runtime.
func unneededRuntime(files []keep.File, dir string) string {
	var names []string
	for _, file := range files {
		if file.Leftover && path.Dir(file.Path) == dir {
			names = append(names, path.Base(file.Path))
		}
	}
	return fmt.Sprintf("%s: nothing needs these files any longer: delete %s", dir, strings.Join(names, " "))
}

// copies returns the files of a part of the runtime, as files of the module.
func copies(target *model.Module, part runtime.Part) ([]keep.Output, error) {
	files, err := part.Copy(target.Runtime, keep.Marker)
	outputs := make([]keep.Output, len(files))
	for i, file := range files {
		outputs[i] = keep.Output{
			Path:   path.Join(model.RuntimeDir, file.Path),
			Owner:  keep.Ours,
			Render: func() ([]byte, error) { return file.Content, nil },
		}
	}
	return outputs, err
}

// outdated returns lines about what in go.mod keeps a part of the runtime from its
// build: libraries that are too old.
func outdated(gomod *GoMod, part runtime.Part) (lines []string) {
	if old := gomod.Outdated(part.Requirements()); len(old) > 0 {
		required := make([]string, len(old))
		for i, one := range old {
			required[i] = one.Path + " " + gomod.required(one.Path)
		}
		lines = append(lines, gomod.at+" requires "+strings.Join(required, ", ")+", which is too old for the code to build: go get "+Versions(old))
	}
	return append(lines, gomod.Obstacles(part.Requirements())...)
}

// otherRuntime returns a line for each file of yours that imports the copy of the
// runtime though the generated code imports another one.
func otherRuntime(target *model.Module, disk *keep.Module) (lines []string) {
	for _, at := range disk.YoursOfRuntime() {
		lines = append(lines, fmt.Sprintf("%s: imports %s, but the generated code imports %s (option runtime): change the imports", at, model.RuntimeDir, target.Runtime))
	}
	return lines
}
