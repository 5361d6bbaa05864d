package plugin

import (
	"fmt"
	"path"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
)

// reached returns the part of the runtime that a module's code reaches: what this
// run writes, and what is on disk besides.
func reached(target *model.Module, files []keep.File, onDisk []string) (runtime.Part, error) {
	packages := onDisk
	for _, file := range files {
		if !file.Leftover {
			packages = append(packages, keep.Imports(file.Content, target.Runtime)...)
		}
	}
	var known []string // code may import what there never was: the compiler reports it
	for _, pkg := range packages {
		if runtime.Has(pkg) {
			known = append(known, pkg)
		}
	}
	return runtime.Reached(known...)
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

// outdated returns lines about libraries in go.mod that are too old for a part of
// the runtime.
func outdated(gomod *GoMod, part runtime.Part) (lines []string) {
	if old := gomod.Outdated(part.Requirements()); len(old) > 0 {
		required := make([]string, len(old))
		for i, one := range old {
			required[i] = one.Path + " " + gomod.required(one.Path)
		}
		lines = append(lines, gomod.at+" requires "+strings.Join(required, ", ")+", which is too old for the code to build: go get "+Versions(old))
	}
	return lines
}

// otherRuntime returns a line for each file of yours that imports the copy of the
// runtime though the generated code imports another one.
func otherRuntime(target *model.Module, disk *keep.Module) (lines []string) {
	for _, at := range disk.YoursOfRuntime() {
		lines = append(lines, fmt.Sprintf("%s: imports %s, but the generated code imports %s (option runtime): change the imports", at, model.RuntimeDir, target.Runtime))
	}
	return lines
}
