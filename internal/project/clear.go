package project

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
)

// clear checks that nothing is in the way of the files. What the build does not depend
// on is left as it is, with a line about it.
func (p *plan) clear() error {
	if _, err := os.Stat(p.dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	root, err := keep.OpenRoot(p.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	var inTheWay []string
	var files []keep.File // to be written
	again := false        // whether the proto is there, since an earlier run
	for _, file := range p.files {
		existing, err := root.Read(file.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			files = append(files, file)
		case err != nil:
			return fmt.Errorf("%w\nNothing was written", err)
		case bytes.Equal(existing, file.Content):
			again = again || path.Ext(file.Path) == ".proto"
		case essential(file.Path):
			inTheWay = append(inTheWay, file.Path)
		default:
			p.left = append(p.left, p.leave(file.Path, string(existing))...)
		}
	}
	p.files = files
	var made []keep.File
	for _, name := range p.made {
		existing, err := root.Read(name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !again && !bytes.Contains(existing, []byte("// Code generated ")) {
			if err == nil {
				inTheWay = append(inTheWay, name)
			}
		} else if err != nil {
			return fmt.Errorf("%w\nNothing was written", err)
		}
		made = append(made, keep.File{Path: name})
	}
	if len(inTheWay) > 0 {
		return fmt.Errorf("nothing was written, because these files are in the way:\n\t%s\n%s", strings.Join(inTheWay, "\n\t"), p.wayOut())
	}
	return keep.Unwritable(root, append(made, files...))
}

func (p *plan) wayOut() string {
	return "Move them away, name another service with --service, or another folder with --dir"
}

// essential reports whether the build depends on a file.
func essential(name string) bool {
	return path.Ext(name) == ".go" || path.Ext(name) == ".proto" || name == "go.mod"
}

// leave returns what to print about a file that is there already.
func (p *plan) leave(name, text string) []string {
	add := ""
	has := func(part string) bool { return strings.Contains(text, part) }
	switch path.Base(name) {
	case ".gitignore":
		if !has("data/") {
			add = "to keep stored events out of git, add the line /data/"
		}
	case "Makefile":
		if !has("generate -I") {
			add = "to generate with make, add a target that runs: " + p.project.Generate()
		}
	case "buf.gen.yaml":
		if !has("protoc-gen-receiver") {
			add = "for buf generate, add the plugin local: [" + strings.Join(p.project.Plugin, ", ") + "] with out: . and strategy: all"
		}
	case "ci.yml":
		if !has("--check") {
			add = "to find code that is out of date, add a step that runs: " + p.project.Generate() + " --check"
		}
	}
	if add == "" {
		return nil
	}
	return []string{name + " was there, and is as it was: " + add}
}
