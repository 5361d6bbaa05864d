package keep

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/report"
)

// survey looks for the files of ours that a run does not make, in a whole module.
type survey struct {
	module *Module
	protos model.Protos
	visit  map[string]bool // hidden folders that are looked into, because files are made in them
	// ours are the files with the marker, without the Go files in folders of
	// packages' roles, which are looked at together.
	ours []string
	// others are the protos that this run is not on, and of which there are
	// files in those folders: by their names the elements that these are made of.
	others map[string]map[string]bool
	// messages are the protos of which there is Go code of messages.
	messages map[string]bool
	// events are the folders of events that the previous run knew, by their names.
	events map[string]string
	// imports are the folders of this module that the Go files import which this
	// run does not write.
	imports map[string][]string
	buffer  [headSize]byte
}

// leftoversElsewhere returns the leftovers of any ending, in any folder, that
// are not Go files in folders of packages' roles: those are known. It notes what
// the code that stays imports of the runtime, and adds to the events those that were
// generated where their go_package was before.
func (m *Module) leftoversElsewhere(protos model.Protos, events map[string]string, known []File) (files []File) {
	s := survey{
		module: m, protos: protos, visit: map[string]bool{".github": true},
		others: map[string]map[string]bool{}, events: events, messages: map[string]bool{}, imports: map[string][]string{},
	}
	for at := range m.made {
		for dir := path.Dir(at); dir != "." && !s.visit[dir]; dir = path.Dir(dir) {
			s.visit[dir] = true
		}
	}
	s.folder(".")
	for _, at := range s.ours {
		text, err := m.read(at)
		if err != nil || !cutInHead(at, text) && (!Marked(at, text) || !s.ended(at, text)) {
			continue
		}
		if user := cmp.Or(m.user(at, text), s.importer(at)); user != "" {
			m.print(report.Gone, fmt.Sprintf("%s: no longer generated, but left alone because %s uses it: remove that use", at, user))
			continue
		}
		files = append(files, m.leftover(at, text))
	}
	for _, file := range slices.Concat(known, files) {
		delete(s.imports, file.Path)
	}
	m.imported = s.imports
	m.others = len(s.others) > 0
	return files
}

// Revives reports whether a run on other protos, at the same time, may write programs
// again that were deleted: what they need, this run can't know. [Module.Leftovers] must
// have been called.
func (m *Module) Revives() bool { return m.all && m.others }

// RuntimeImports returns the packages of the runtime, by their paths below it,
// that code on disk imports, besides what this run writes, and the files that used
// returns for the text of that code. [Module.Leftovers] must have been called.
func (m *Module) RuntimeImports(used func(text []byte) []string) (imported []string) {
	for at, folders := range m.imported {
		before := len(imported)
		for _, dir := range folders {
			if pkg, ok := strings.CutPrefix(dir, model.RuntimeDir+"/"); ok {
				imported = append(imported, pkg)
			}
		}
		if len(imported) == before || strings.HasPrefix(at, model.RuntimeDir+"/") {
			continue
		}
		if text, err := m.read(at); err == nil {
			imported = append(imported, used(text)...)
		}
	}
	return imported
}

// notImported returns the files whose folders no Go file on disk imports. It notes
// what the others import.
func (m *Module) notImported(unused []File) (files []File) {
	needed := map[string]bool{}
	for _, folders := range m.imported {
		for _, dir := range folders {
			needed[dir] = true
		}
	}
	for _, file := range unused {
		if !needed[path.Dir(file.Path)] {
			files = append(files, file)
		} else if text, err := m.read(file.Path); err == nil {
			m.imported[file.Path] = Imports(text, m.path)
		}
	}
	return files
}

// YoursOfRuntime returns the paths of the Go files of yours that import the copy of the
// runtime. [Module.Leftovers] must have been called.
func (m *Module) YoursOfRuntime() (paths []string) {
	for _, file := range m.importers(func(dir string) bool { return strings.HasPrefix(dir, model.RuntimeDir+"/") }) {
		if !strings.HasPrefix(file.Path, model.RuntimeDir+"/") {
			paths = append(paths, file.Path)
		}
	}
	return paths
}

// Yours returns the Go files of yours that import a package of the runtime.
// [Module.Leftovers] must have been called.
func (m *Module) Yours(pkg string) []File {
	return m.importers(func(dir string) bool { return dir == path.Join(model.RuntimeDir, pkg) })
}

// importers returns the Go files of yours that import one of some folders.
func (m *Module) importers(of func(dir string) bool) (files []File) {
	for at, folders := range m.imported {
		if !slices.ContainsFunc(folders, of) {
			continue
		}
		if text, err := m.read(at); err == nil && !Marked(at, text) {
			files = append(files, File{Path: at, Content: text})
		}
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

// RuntimeLeftovers returns the files of ours in the copy of the runtime that are not
// among the outputs of a copy: those of another version, and of packages that nothing
// needs.
func (m *Module) RuntimeLeftovers(copied []Output) (files []File) {
	needed := map[string]bool{}
	for _, output := range copied {
		needed[output.Path] = true
	}
	for _, at := range m.runtimeFiles {
		if text, err := m.read(at); err == nil && !needed[at] && Marked(at, text) {
			files = append(files, m.leftover(at, text))
		}
	}
	return files
}

// Imports returns the packages below an import path that a Go file imports, by
// their paths below it.
func Imports(text []byte, importPath string) (packages []string) {
	quoted := []byte(`"` + importPath + "/")
	for {
		_, rest, found := bytes.Cut(text, quoted)
		if !found {
			return packages
		}
		var pkg []byte
		pkg, text, _ = bytes.Cut(rest, []byte(`"`))
		packages = append(packages, string(pkg))
	}
}

// ended reports whether a file of ours, which this run does not make, is made by
// no other run either. One of a template that sees no single proto is, if other
// runs would have to be on protos of which there is nothing.
func (s *survey) ended(at string, text []byte) bool {
	source := sourceOf(text)
	name := source.proto()
	proto, run := s.protos.Files[name]
	switch {
	case s.module.stranded[at] || isEmptied(at, text):
		return true
	case source.file == "" || source.at != at && !model.Generated(path.Dir(at)):
		return false // it is a copy of such a file, or quotes one
	case name == "":
		return len(s.others) == 0
	case !run:
		return s.others[name] == nil && !s.messages[name]
	case !proto.Declares[source.element] && !proto.Declares[source.parent()]:
		return !s.others[name][source.parent()] // of a proto that only has the same name
	case strings.HasPrefix(source.element, eventElement) && proto.Declares[source.element]:
		return len(s.others) == 0 // one of those may take the event
	}
	return true
}

// folder looks through a folder and those below it, except for what is another
// module's, another tool's, or hidden from the Go command.
func (s *survey) folder(dir string) {
	entries, err := s.module.entries(dir)
	if err != nil || dir != "." && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "go.mod" }) {
		return
	}
	read := s.module.readBefore(dir)
	for _, entry := range entries {
		at := path.Join(dir, entry.Name())
		switch {
		case temporaryName.MatchString(entry.Name()): // of another run
		case entry.IsDir() && (s.visit[at] || !passedOver(entry.Name())):
			s.folder(at)
		case read[at] != nil && !strings.HasSuffix(at, ".pb.go"):
			s.imports[at] = s.importsOf(at, read[at].importPaths())
		case entry.Type().IsRegular() && !s.module.written[at] && path.Ext(at) != template:
			s.file(at)
		}
	}
}

// passedOver reports whether a folder is one in which files of ours are copies,
// or can't be.
func passedOver(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || slices.Contains([]string{"node_modules", "vendor", "testdata"}, name)
}

// template is the ending of templates, which have the marker that their files get.
const template = ".tmpl"

// headSize is how much of a file is read to find the marker.
const headSize = 8 << 10

// file looks at the head of a file. One that can't be read is not ours.
func (s *survey) file(at string) {
	head, err := s.module.head(at, s.buffer[:])
	if err != nil {
		return
	}
	switch {
	case strings.HasSuffix(at, ".pb.go"):
		s.messages[messagesOf(head)] = true
	case strings.HasPrefix(at, model.RuntimeDir+"/") && s.isMarked(at, head):
		s.module.runtimeFiles = append(s.module.runtimeFiles, at)
		return
	case path.Ext(at) == ".go":
		text := head
		if len(head) == headSize { // the imports may be longer
			text, _ = s.module.read(at)
		}
		s.imports[at] = s.importsOf(at, text)
	}
	if s.module.made[at] || !bytes.Contains(head, []byte(Marker)) {
		return
	}
	if path.Ext(at) != ".go" || !model.Generated(path.Dir(at)) {
		s.ours = append(s.ours, at)
		return
	}
	source := sourceOf(head)
	proto, run := s.protos.Files[source.proto()]
	if name, ok := strings.CutPrefix(source.element, eventElement); ok && run && !proto.Declares[source.element] && !isEmptied(at, head) {
		if text, err := s.module.read(at); err == nil && (s.module.ended(s.protos, at, text, source) || s.replaces(proto, name)) {
			s.events[name] = path.Dir(at)
		}
	}
	if source.proto() == "" || proto.Declares[source.element] || proto.Declares[source.parent()] || s.others[source.file][source.parent()] {
		return
	}
	if text, err := s.module.read(at); err == nil && Marked(at, text) && !s.module.ended(s.protos, at, text, source) {
		if s.others[source.file] == nil {
			s.others[source.file] = map[string]bool{}
		}
		s.others[source.file][source.parent()] = true
	}
}

// replaces reports whether a proto declares a message that the previous run did not know
// and that may be an event of a name: both its proto package and its go_package may have
// been renamed.
func (s *survey) replaces(proto model.Proto, name string) bool {
	for element := range proto.Declares {
		other, ok := strings.CutPrefix(element, eventElement)
		if ok && s.events[other] == "" && lastName(other) == lastName(name) {
			return true
		}
	}
	return false
}

// isMarked reports whether a file has the marker, of which the head is read.
func (s *survey) isMarked(at string, head []byte) bool {
	if !bytes.Contains(head, []byte(Marker)) {
		return false
	}
	text, err := s.module.read(at)
	return err == nil && Marked(at, text)
}

// importer returns a Go file in another folder that imports the package of a Go
// file; "" if there is none, or the package has files of yours as well.
func (s *survey) importer(at string) string {
	isYours := func(file *goFile) bool { return !file.ours }
	if path.Ext(at) != ".go" || slices.ContainsFunc(s.module.folder(path.Dir(at)).files, isYours) {
		return ""
	}
	for _, other := range slices.Sorted(maps.Keys(s.imports)) {
		if path.Dir(other) != path.Dir(at) && slices.Contains(s.imports[other], path.Dir(at)) {
			return other
		}
	}
	return ""
}

// importsOf returns the folders of this module that a Go file needs. One of the
// runtime that its owner has taken over needs the rest of its package.
func (s *survey) importsOf(at string, importPaths []byte) []string {
	folders := Imports(importPaths, s.module.path)
	if dir := path.Dir(at); strings.HasPrefix(dir, model.RuntimeDir+"/") {
		folders = append(folders, dir)
	}
	return folders
}

// head reads the beginning of a file, as much as the buffer holds.
func (m *Module) head(at string, buffer []byte) ([]byte, error) {
	root, err := m.open()
	if err != nil {
		return nil, err
	}
	return root.Head(at, buffer)
}

// readBefore returns the Go files of yours in a folder that was read before: they
// need not be opened again.
func (m *Module) readBefore(dir string) map[string]*goFile {
	yours := map[string]*goFile{}
	if read, ok := m.folders.Load(dir); ok {
		for _, file := range read.(func() *folder)().files {
			if !file.ours {
				yours[file.at] = file
			}
		}
	}
	return yours
}

// importPaths returns the import paths of a file, in quotes.
func (f *goFile) importPaths() (paths []byte) {
	for _, spec := range f.syntax.Imports {
		paths = append(paths, spec.Path.Value...)
	}
	return paths
}

// user returns the place in code of yours that uses what a Go file of ours
// declares, in its own package; "" if there is none.
func (m *Module) user(at string, text []byte) string {
	if path.Ext(at) != ".go" {
		return ""
	}
	file, err := parseGo(at, text)
	if err != nil {
		return ""
	}
	declared := file.names()
	for _, other := range m.folder(path.Dir(at)).files {
		if other.ours {
			continue
		}
		if node := other.mentions(declared); node != nil {
			return other.place(node)
		}
	}
	return ""
}

// mentions returns the first place in a file that has one of some names of its
// package, or nil.
func (f *goFile) mentions(declared names) (found ast.Node) {
	var look func(ast.Node) bool
	look = func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.SelectorExpr:
			ast.Inspect(node.X, look) // and not the name after the dot
			return false
		case *ast.Ident:
			if found == nil && declared[node.Name] {
				found = node
			}
		}
		return found == nil
	}
	for _, decl := range f.syntax.Decls {
		ast.Inspect(decl, look)
	}
	return found
}
