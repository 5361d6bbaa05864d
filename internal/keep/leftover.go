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

// Leftovers finds the Go files of ours that earlier runs made and this one does
// not: of a service, an RPC or an event that was removed, or whose file has
// another name now, and of the runtime. Left as they are they would break the
// build. Everything that this run makes must have been decided before, by
// [Module.Decide].
//
// A run may be on some protos of a package only, so what other protos made is
// none of its business, unless their messages are gone, too.
func (m *Module) Leftovers(target *model.Module) (files []File, err error) {
	folders := map[string]bool{} // to look at
	protos := model.ProtosOf(target)
	maps.Copy(folders, protos.Folders)
	if target.Copied && len(target.Packages) > 0 {
		if err := m.below(model.RuntimeDir, folders); err != nil {
			return nil, err
		}
	}
	if err := m.addEarlier(folders); err != nil {
		return nil, err
	}
	packages := map[string]*leftovers{} // by what their folders have in common
	for _, dir := range slices.Sorted(maps.Keys(folders)) {
		common := model.WithoutRole(dir)
		if packages[common] == nil {
			packages[common] = &leftovers{}
		}
		if err := packages[common].add(m, protos, dir, m.made); err != nil {
			return nil, err
		}
	}
	for _, common := range slices.Sorted(maps.Keys(packages)) {
		files = append(files, packages[common].gone(m, m.made)...)
	}
	m.lines = append(m.lines, m.leftBehind(files)...)
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

// addEarlier adds to the folders that are generated into those beside them that
// earlier runs may have generated into instead, when packages and programs were
// called something else.
func (m *Module) addEarlier(folders map[string]bool) error {
	beside := map[string]bool{}
	for dir := range folders {
		if model.Generated(dir) {
			beside[path.Dir(dir)] = true
		}
	}
	for parent := range beside {
		entries, err := m.entries(parent)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if dir := path.Join(parent, entry.Name()); entry.IsDir() && model.Generated(dir) {
				folders[dir] = true
			}
		}
	}
	return nil
}

// leftovers are the files of ours that are not made of a package: in the folders
// of all its roles, as they import one another.
type leftovers struct {
	ended  []File // that were made for an element of a proto, of which nothing is made
	shared []File // that were made for no element, but for all of them
	needed bool   // whether the shared ones are
}

// gone are the files that are no longer made. The shared ones go when no others
// are left. Those that code of yours stands among may be needed by it, and go
// only if nothing is left of a folder that they import.
func (l *leftovers) gone(m *Module, made map[string]bool) []File {
	files := l.ended
	stays := func(file File) bool { return l.needed && !m.lacksImport(file, files, made) }
	return append(files, slices.DeleteFunc(l.shared, stays)...)
}

// lacksImport reports whether a file of ours imports a folder of one of a
// package's roles of which nothing is left beside the files that are gone.
func (m *Module) lacksImport(file File, gone []File, made map[string]bool) bool {
	text, _ := m.read(file.Path)
	return slices.ContainsFunc(m.imports(file.Path, text), func(dir string) bool {
		if model.WithoutRole(dir) == "" {
			return false
		}
		for at := range made {
			if path.Dir(at) == dir {
				return false
			}
		}
		entries, err := m.list(dir)
		return err == nil && !slices.ContainsFunc(entries, func(entry fs.DirEntry) bool {
			at := path.Join(dir, entry.Name())
			return path.Ext(at) == ".go" && !slices.ContainsFunc(gone, func(g File) bool { return g.Path == at })
		})
	})
}

// imports are the folders of this module that a file imports, without those of
// the runtime.
func (m *Module) imports(at string, text []byte) (folders []string) {
	file, err := parser.ParseFile(token.NewFileSet(), at, text, parser.ImportsOnly|parser.SkipObjectResolution)
	if err != nil {
		return nil
	}
	for _, spec := range file.Imports {
		importPath, _ := strconv.Unquote(spec.Path.Value)
		if dir, found := strings.CutPrefix(importPath, m.path+"/"); found && !strings.HasPrefix(dir, model.RuntimeDir+"/") {
			folders = append(folders, dir)
		}
	}
	return folders
}

// add looks through a folder.
func (l *leftovers) add(m *Module, protos model.Protos, dir string, made map[string]bool) error {
	entries, err := m.list(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		at := path.Join(dir, entry.Name())
		if path.Ext(at) != ".go" {
			continue
		}
		if made[at] {
			l.needed = true
			continue
		}
		text, err := m.read(at)
		if err != nil {
			return err
		}
		switch file := (File{Path: at, Content: emptyGo(text), Gone: true}); {
		case !Marked(at, text):
			l.needed = true
		case m.isGone(protos, at, text):
			l.ended = append(l.ended, file)
		case declaredIn(text) == "":
			l.shared = append(l.shared, file)
		default:
			l.needed = true
		}
	}
	return nil
}

// isGone reports whether nothing is made any more of what a file of ours, which
// this run does not make, was made of.
func (m *Module) isGone(protos model.Protos, at string, text []byte) bool {
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
	event := strings.HasPrefix(element, "event ")
	return !event || !declares[element] || !m.shared(protos, path.Dir(at))
}

// shared reports whether a package has services of protos that this run is not
// on. They may take an event that no service of this run takes.
func (m *Module) shared(protos model.Protos, dir string) bool {
	client := model.ClientBeside(dir)
	entries, _ := m.list(client)
	return slices.ContainsFunc(entries, func(entry fs.DirEntry) bool {
		at := path.Join(client, entry.Name())
		text, _ := m.read(at)
		proto := declaredIn(text)
		return proto != "" && protos.Declares[proto] == nil && Marked(at, text) && !m.orphaned(proto, at, text)
	})
}

// declaredIn is the proto file that declares what a file of ours is made of, or
// "".
func declaredIn(text []byte) (proto string) {
	proto, _ = sourceOf(text)
	return proto
}

// orphaned reports whether a file of ours uses messages of a proto of which
// there is no Go code any more, beside that of other protos. What it uses need
// not be the proto's own: subcommands for a service whose RPCs take messages of
// another package import that one, and of their own package the client alone.
func (m *Module) orphaned(proto, at string, text []byte) bool {
	orphaned := false
	for _, dir := range m.imports(at, text) {
		has, messages := m.messages(dir, proto)
		if !messages && model.WithoutRole(dir) != "" {
			has, messages = m.messages(path.Dir(dir), proto) // that the package is for
		}
		switch {
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
		head, _, _ := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), "\npackage ")
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
