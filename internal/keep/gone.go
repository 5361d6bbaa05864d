package keep

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// gone finds the Go files of ours that earlier runs made and this one does not:
// of a service, an RPC or an event that was removed, or whose file has another
// name now, and of the runtime. Left as they are they would break the build.
//
// A run may be on some protos of a package only, so what other protos made is
// none of its business, unless their messages are gone, too.
func (m *Module) gone(into *model.Module, outputs []Output) (files []File, err error) {
	made := map[string]bool{}    // paths
	makes := map[string]bool{}   // elements
	folders := map[string]bool{} // to look at
	copied := false              // whether the runtime is
	protos := model.ProtosOf(into)
	maps.Copy(folders, protos.Folders)
	for _, output := range outputs {
		made[output.Path] = true
		if output.Element == nil {
			copied = true
		} else if output.Owner == Ours {
			makes[output.Element.String()] = true
		}
	}
	if copied {
		if err := m.below(model.RuntimeDir, folders); err != nil {
			return nil, err
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(folders)) {
		entries, err := m.list(dir)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			at := path.Join(dir, entry.Name())
			if made[at] || path.Ext(at) != ".go" {
				continue
			}
			text, err := m.read(at)
			if err != nil {
				return nil, err
			}
			if Marked(at, text) && m.isGone(protos, at, text, makes) {
				files = append(files, File{Path: at, Content: emptyGo(text), Gone: true})
			}
		}
	}
	return files, nil
}

// below adds a folder, if there is one, and all that are below it.
func (m *Module) below(dir string, folders map[string]bool) error {
	return fs.WalkDir(os.DirFS(m.root), dir, func(at string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() {
			folders[at] = true
		}
		return err
	})
}

// isGone reports whether nothing is made any more of what a file of ours, which
// this run does not make, was made of.
func (m *Module) isGone(protos model.Protos, at string, text []byte, makes map[string]bool) bool {
	if strings.Contains(string(text), emptied) || strings.HasPrefix(at, model.RuntimeDir+"/") {
		return true
	}
	proto, element := sourceOf(text)
	if proto == "" {
		return false
	}
	declares, run := protos.Declares[proto]
	if !run {
		return m.orphaned(proto, at, text)
	}
	return makes[element] || !declares[element]
}

// orphaned reports whether a file of ours uses messages of a proto of which
// there is no Go code any more, beside that of other protos.
func (m *Module) orphaned(proto, at string, text []byte) bool {
	file, err := parser.ParseFile(token.NewFileSet(), at, text, parser.ImportsOnly|parser.SkipObjectResolution)
	if err != nil {
		return false
	}
	orphaned := false
	for _, spec := range file.Imports {
		importPath, _ := strconv.Unquote(spec.Path.Value)
		dir, found := strings.CutPrefix(importPath, m.path+"/")
		if !found || strings.HasPrefix(dir, model.RuntimeDir+"/") {
			continue
		}
		switch has, messages := m.messages(dir, proto); {
		case has:
			return false
		case messages:
			orphaned = true
		}
	}
	return orphaned
}

// messages reports whether a folder holds Go code of messages, and of those of
// a proto.
func (m *Module) messages(dir, proto string) (has, messages bool) {
	entries, _ := m.list(dir)
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".pb.go") {
			continue
		}
		messages = true
		text, _ := m.read(path.Join(dir, entry.Name()))
		head, _, _ := strings.Cut(string(text), "\npackage ")
		if strings.Contains(head+"\n", "// source: "+proto+"\n") {
			return true, true
		}
	}
	return false, messages
}

// emptyGo is a file of ours of which nothing is made any more.
func emptyGo(text []byte) []byte {
	file, err := parser.ParseFile(token.NewFileSet(), "", text, parser.PackageClauseOnly)
	if err != nil {
		return text
	}
	return fmt.Appendf(nil, "// %s\n// %s\n\npackage %s\n", Marker, emptied, file.Name.Name)
}
