package keep

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/report"
)

// Leftovers finds the files of ours that earlier runs made and this one does not:
// of a service, an RPC, an event or a template that was removed, or whose file
// has another name now. Left as they are, those in Go would break the build.
// Everything that this run makes must have been decided before, by
// [Module.Decide], except the copy of the runtime (see [Module.RuntimeLeftovers]).
//
// A run may be on some protos of a module only, so what is made of other protos
// stays, unless their messages are gone, too.
func (m *Module) Leftovers(target *model.Module) (files []File, err error) {
	protos := model.ProtosOf(target)
	folders, err := m.foldersOfRoles(protos)
	if err != nil {
		return nil, err
	}
	packages := map[string]*packageFiles{} // by what their folders have in common
	for _, dir := range slices.Sorted(maps.Keys(folders)) {
		common := model.WithoutRole(dir)
		if packages[common] == nil {
			packages[common] = &packageFiles{}
		}
		if err := packages[common].add(m, protos, dir); err != nil {
			return nil, err
		}
	}
	var unused []File
	for _, common := range slices.Sorted(maps.Keys(packages)) {
		files = append(files, packages[common].leftovers(m)...)
		unused = append(unused, packages[common].unused...)
	}
	known := m.knownEvents(folders, files)
	files = append(files, m.leftoversElsewhere(protos, known, slices.Concat(files, unused))...)
	files = append(files, m.notImported(unused)...)
	m.print(report.NotFitting, m.removedServices(files)...)
	m.print(report.Gone, m.removedPrograms(target, files)...)
	m.print(report.NotRead, m.unreadEvents(target, known, files)...)
	return files, nil
}

// removedPrograms returns a line for each program that is no longer generated, and
// whose server's main is there: a proto package that was renamed, or program=, has
// given it another name, by which its log is another, too.
func (m *Module) removedPrograms(target *model.Module, leftovers []File) (lines []string) {
	for _, file := range leftovers {
		name, ok := strings.CutPrefix(strings.TrimSuffix(file.Path, ".txt"), model.RecordDir+"/program-")
		server := "cmd/" + name + "-server"
		if ok && target.NoPrograms && len(m.mainFiles("cmd/"+name+"-client")) > 0 {
			lines = append(lines, fmt.Sprintf("cmd/%s-client: its subcommands are no longer generated (programs=none): delete its main, which is a client without commands now", name))
		}
		if !ok || target.NoPrograms || m.isEmpty(server) {
			continue
		}
		line := fmt.Sprintf("program %s is no longer generated: delete %s and cmd/%s-client once you have moved what is yours there", name, server, name)
		if len(m.calls(server)[target.Runtime+"/eventlog.Open"]) > 0 {
			line += fmt.Sprintf("; a program of another name finds the stored events by --events sqlite:data/%s.db", name)
		}
		lines = append(lines, line)
	}
	return lines
}

// leftover returns a file of ours that is no longer made.
func (m *Module) leftover(at string, text []byte) File {
	return File{Path: at, Content: m.emptied(at, text), Leftover: true}
}

// foldersOfRoles returns the folders of packages' roles and of clients that
// this run makes, or would if there were services, and those beside them that
// earlier runs may have made instead, when packages and programs were called
// something else.
func (m *Module) foldersOfRoles(protos model.Protos) (map[string]bool, error) {
	folders, parents := map[string]bool{}, map[string]bool{}
	for dir := range protos.Folders {
		folders[dir] = true
		parents[path.Dir(dir)] = true
	}
	for parent := range parents {
		entries, err := m.entries(parent)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if dir := path.Join(parent, entry.Name()); entry.IsDir() && model.Generated(dir) {
				folders[dir] = true
			}
		}
	}
	return folders, nil
}

// packageFiles are the Go files that are made for a package of messages and not
// by this run: in the folders of all its roles, because they import one another.
type packageFiles struct {
	ended  []File // made for an element of a proto, of which nothing is made now
	shared []File // made for the package as a whole
	needed bool   // whether the shared ones are
	unused []File // made for the events of the package, or for its publishers, of which there are none now
}

// leftovers returns the files that are no longer made. The shared ones go when no
// others are left. Those beside code of yours may be needed by it, and go only
// if nothing is left of a folder that they import.
func (p *packageFiles) leftovers(m *Module) []File {
	files := p.ended
	if !p.needed {
		p.shared, p.unused = append(p.shared, p.unused...), nil
	}
	stays := func(file File) bool { return p.needed && !m.lacksImport(file, files) }
	return append(files, slices.DeleteFunc(p.shared, stays)...)
}

// add adds the files in a folder.
func (p *packageFiles) add(m *Module, protos model.Protos, dir string) error {
	files, err := m.packageFiles(protos, dir)
	if err != nil {
		return err
	}
	if (strings.HasSuffix(dir, "events") || strings.HasSuffix(dir, "publisher")) && protos.Folders[dir] && !files.needed && !m.shared(protos, dir) {
		files.unused, files.shared = files.shared, nil
	}
	p.ended, p.shared, p.unused = append(p.ended, files.ended...), append(p.shared, files.shared...), append(p.unused, files.unused...)
	p.needed = p.needed || files.needed
	return nil
}

// packageFiles looks through a folder.
func (m *Module) packageFiles(protos model.Protos, dir string) (files packageFiles, err error) {
	if m.isOutside(dir) {
		return packageFiles{needed: true}, nil // a link leads there
	}
	entries, err := m.list(dir)
	if err != nil {
		return files, err
	}
	for _, entry := range entries {
		at := path.Join(dir, entry.Name())
		if path.Ext(at) != ".go" {
			continue
		}
		if m.made[at] {
			files.needed = true
			continue
		}
		text, err := m.read(at)
		if err != nil {
			return files, err
		}
		switch source := sourceOf(text); {
		case len(text) == 0 || cutInHead(at, text): // while it was emptied
			files.ended = append(files.ended, m.leftover(at, text))
		case !Marked(at, text):
			files.needed = true
		case m.stranded[at] || isEmptied(at, text) || source.proto() != "" && m.ended(protos, at, text, source):
			files.ended = append(files.ended, m.leftover(at, text))
		case source.proto() == "":
			files.shared = append(files.shared, m.leftover(at, text))
		default:
			files.needed = true
		}
	}
	return files, nil
}

// isOutside reports whether links lead from a folder to one that is not in the module.
func (m *Module) isOutside(dir string) bool {
	root, err := m.open()
	if err == nil {
		_, err = root.Stat(dir)
	}
	return err != nil && !errors.Is(err, fs.ErrNotExist)
}

// lacksImport reports whether a file of ours imports a folder of one of a
// package's roles of which nothing is left without some leftovers.
func (m *Module) lacksImport(file File, leftovers []File) bool {
	text, _ := m.read(file.Path)
	return slices.ContainsFunc(m.imports(file.Path, text), func(dir string) bool {
		if model.WithoutRole(dir) == "" {
			return false
		}
		for at := range m.made {
			if path.Dir(at) == dir {
				return false
			}
		}
		entries, err := m.list(dir)
		return err == nil && !slices.ContainsFunc(entries, func(entry fs.DirEntry) bool {
			at := path.Join(dir, entry.Name())
			return path.Ext(at) == ".go" && !slices.ContainsFunc(leftovers, func(other File) bool { return other.Path == at })
		})
	})
}

// imports returns the folders of this module that a file imports, without those of
// the runtime.
func (m *Module) imports(at string, text []byte) (folders []string) {
	for _, importPath := range importPaths(at, text) {
		if dir, found := strings.CutPrefix(importPath, m.path+"/"); found && !strings.HasPrefix(dir, model.RuntimeDir+"/") {
			folders = append(folders, dir)
		}
	}
	return folders
}

// importPaths returns what a file imports.
func importPaths(at string, text []byte) (paths []string) {
	file, err := parser.ParseFile(token.NewFileSet(), at, text, parser.ImportsOnly|parser.SkipObjectResolution)
	if err != nil {
		return nil
	}
	for _, spec := range file.Imports {
		paths = append(paths, importPathOf(spec))
	}
	return paths
}

// ended reports whether nothing is made any longer of the element of a proto that
// a Go file of ours, which this run does not make, was made of.
func (m *Module) ended(protos model.Protos, at string, text []byte, source source) bool {
	proto, run := protos.Files[source.file]
	switch {
	case !run:
		return m.orphaned(source.file, at, text)
	case !proto.Declares[source.element] && m.ofNamesake(proto, at, text):
		return m.orphaned(source.file, at, text) || m.isEmpty(model.ClientOf(m.base(at, text)))
	case strings.HasPrefix(source.element, eventElement) && proto.Declares[source.element]:
		return !m.shared(protos, path.Dir(at))
	}
	return true
}

// ofNamesake reports whether a Go file of ours was made of another proto than the
// one of the same name that this run is on: it is for another Go package. (Or the
// proto has got another go_package since: then the file can be built for as long as
// the folder of that package is there.)
func (m *Module) ofNamesake(proto model.Proto, at string, text []byte) bool {
	base := m.base(at, text)
	if base == "" || base == proto.Base {
		return false
	}
	if path.Dir(base) != path.Dir(proto.Base) {
		return true
	}
	return !proto.InModule && !slices.Contains(importPaths(at, text), proto.Messages)
}

// base returns what the folders of the roles have in common that belong to the Go
// package which a file of ours is for; "" if it is for none.
func (m *Module) base(at string, text []byte) string {
	if dir := path.Dir(at); !strings.HasPrefix(dir, "cmd/") && model.WithoutRole(dir) != "" {
		return model.WithoutRole(dir)
	}
	for _, dir := range m.imports(at, text) {
		if base := model.WithoutRole(dir); base != "" && dir == model.ClientOf(base) {
			return base
		}
	}
	return ""
}

// isEmpty reports whether there is no Go file in a folder, or no folder.
func (m *Module) isEmpty(dir string) bool {
	entries, err := m.list(dir)
	return err == nil && !slices.ContainsFunc(entries, func(entry fs.DirEntry) bool { return path.Ext(entry.Name()) == ".go" })
}

// shared reports whether a package has services of protos that this run is not
// on. They may take an event that no service of this run takes.
func (m *Module) shared(protos model.Protos, dir string) bool {
	client := model.ClientBeside(dir)
	entries, _ := m.list(client)
	return slices.ContainsFunc(entries, func(entry fs.DirEntry) bool {
		at := path.Join(client, entry.Name())
		text, _ := m.read(at)
		proto := sourceOf(text).proto()
		_, run := protos.Files[proto]
		return proto != "" && !run && Marked(at, text) && !m.orphaned(proto, at, text)
	})
}

// orphaned reports whether a file of ours uses messages of a proto of which
// there is no Go code any longer, beside that of other protos. What it uses need
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
		if messagesOf(text) == proto {
			return true, true
		}
	}
	return false, messages
}

// MadeOf returns the proto of which a file of protoc-gen-go or protoc-gen-go-grpc was
// made; "" if there is no such file.
func (m *Module) MadeOf(at string) string {
	text, _ := m.read(at)
	return messagesOf(text)
}

// messagesOf returns the proto of which a file of protoc-gen-go was made.
func messagesOf(text []byte) (proto string) {
	head, _, _ := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), "\npackage ")
	_, rest, _ := strings.Cut(head, "// source: ")
	proto, _, _ = strings.Cut(rest, "\n")
	return proto
}
