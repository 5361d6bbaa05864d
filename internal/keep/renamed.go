package keep

import (
	"bytes"
	"fmt"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/report"
)

// findRenamed looks for the code of a service that its own folder does not have, in
// folders of the same name: the service had another full name when that was written.
func (m *Module) findRenamed(j *joined) {
	service := j.service
	if j.impl != nil || j.err != nil || len(j.files) > 0 {
		return
	}
	// Those that a whole run knew, and whose code its owner has moved or deleted, stay so.
	if history, err := m.history(service); err != nil || m.readAwaited(service) != nil || history == finished && !m.awaited[j.dir+"/service.go"] {
		return
	}
	j.renamedFrom = m.renamedBelow("internal", j)
}

// renamedBelow returns the first folder below one that has such code of a service, "" if
// none has.
func (m *Module) renamedBelow(parent string, j *joined) string {
	embeds := []byte("Unimplemented" + j.service.Name + "Server")
	entries, _ := m.entries(parent)
	for _, entry := range entries {
		dir := path.Join(parent, entry.Name())
		if !entry.IsDir() || dir == model.RuntimeDir || entry.Name() == "testdata" {
			continue
		}
		if path.Base(dir) == path.Base(j.dir) && dir != j.dir && !m.joinedAt(dir) && m.mentionsText(dir, embeds) {
			if there := join(m.folder(dir), j.service); there.impl != nil && there.movedFrom() == "" && there.embedsStub() {
				return dir
			}
		}
		if below := m.renamedBelow(dir, j); below != "" {
			return below
		}
	}
	return ""
}

// joinedAt reports whether a folder is that of a service of this run.
func (m *Module) joinedAt(dir string) bool {
	for service := range m.joined {
		if service.Impl().Dir == dir {
			return true
		}
	}
	return false
}

func (m *Module) mentionsText(dir string, text []byte) bool {
	entries, _ := m.list(dir)
	return slices.ContainsFunc(entries, func(entry fs.DirEntry) bool {
		content, _ := m.read(path.Join(dir, entry.Name()))
		return path.Ext(entry.Name()) == ".go" && bytes.Contains(content, text)
	})
}

// embedsStub reports whether the implementation embeds what implementations of the
// service embed.
func (j *joined) embedsStub() bool {
	for _, embedded := range j.impl.embedded() {
		if j.isStub(j.impl.file, embedded) {
			return true
		}
	}
	return false
}

// isRenamed reports whether a folder has the code of a service by its former name.
func (m *Module) isRenamed(dir string) bool {
	for _, j := range m.joined {
		if j.renamedFrom == dir {
			return true
		}
	}
	return false
}

// leadRenamed adds the steps that move the code of services which have another full
// name now. No skeleton is written beside it.
func (m *Module) leadRenamed(target *model.Module, outputs func(*model.Module) ([]Output, error)) error {
	if !slices.ContainsFunc(target.Services(), func(s *model.Service) bool { return m.joined[s].renamedFrom != "" }) {
		return nil
	}
	all, err := outputs(target)
	if err != nil {
		return err
	}
	for _, service := range target.Services() {
		j := m.joined[service]
		if j.renamedFrom == "" {
			continue
		}
		main := service.Package.Program.ServerDir()
		for _, output := range all {
			if m.lacks(output.Path) && output.Owner == Yours && slices.Contains([]string{j.dir, service.SampleDir(), main}, path.Dir(output.Path)) {
				m.awaited[output.Path] = true
			}
		}
		m.print(report.NotFitting, m.moves(j)...)
	}
	return nil
}

// moves returns the steps that move the code of a service.
func (m *Module) moves(j *joined) (lines []string) {
	from, to := j.renamedFrom, j.service.Impl()
	lines = append(lines, fmt.Sprintf("%s: this is the code of %s, by its former name, so no other is written (to have another, delete this one, and run again). Move it; run:\n\tmkdir -p %s && mv %s %s",
		from, j.service, path.Dir(to.Dir), from, to.Dir))
	mains, _ := m.files("cmd/*")
	for _, dir := range mains {
		for _, file := range m.folder(dir).files {
			for _, spec := range file.syntax.Imports {
				if importPathOf(spec) != m.path+"/"+from {
					continue
				}
				code := strconv.Quote(to.Path)
				if name := m.folder(from).name; spec.Name != nil {
					code = spec.Name.Name + " " + code
				} else if name != path.Base(to.Path) {
					code = name + " " + code
				}
				if text, err := m.read(file.at); err == nil {
					if e := newEdits(file.at, text); e != nil && e.hasParen() {
						code = "\t" + code
					} else {
						code = "import " + code
					}
				}
				lines = append(lines, fmt.Sprintf("%s: it imports that code; replace this line with:\n\t%s", file.place(spec), code))
			}
		}
	}
	var missing []string
	there := join(m.folder(from), j.service)
	for _, rpc := range j.service.Methods {
		if _, ok := there.impl.methods[rpc.Name]; !ok {
			missing = append(missing, rpc.Name)
		}
	}
	last := "run the generator again"
	if len(missing) > 0 {
		last += ", which then writes " + strings.Join(missing, ", ")
	}
	return append(lines, j.service.String()+": "+last)
}

// hasParen reports whether the imports of a file are in parentheses.
func (e *edits) hasParen() bool {
	return strings.Contains(e.text, token.IMPORT.String()+" (")
}
