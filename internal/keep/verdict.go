package keep

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// verdict says that a file may be written, or why not.
type verdict struct {
	may  bool
	line string // why not, for the user; "" where that goes without saying
	err  error  // why the run may write no file at all
}

// The verdicts that need no words.
var (
	write = verdict{may: true}
	leave = verdict{}
)

// withhold returns the verdict on a file of yours that does not fit what is there.
func withhold(output Output, why string, values ...any) verdict {
	return verdict{line: fmt.Sprintf("%s: not written, because %s", output.Path, fmt.Sprintf(why, values...))}
}

// decision is what becomes of an output.
type decision struct {
	verdict
	content []byte // nil if there is no file after all
}

// writes reports whether the file is written.
func (d decision) writes() bool { return d.may && d.content != nil }

// decide decides on an output, and renders it if it may be written.
func (m *Module) decide(output Output) decision {
	if output.Owner == Ours {
		return m.decideOurs(output)
	}
	return m.decideYours(output)
}

func (m *Module) decideOurs(output Output) decision {
	if v := m.takenOver(output); !v.may {
		return decision{verdict: v}
	}
	content, err := output.Render()
	if err != nil {
		return decision{verdict: verdict{err: err}}
	}
	if content != nil && output.Element != nil {
		content = withSource(content, newSource(output))
	}
	return decision{verdict: write, content: content}
}

func (m *Module) decideYours(output Output) decision {
	for _, question := range []func(Output) verdict{m.byPath, m.byHistory, m.fits} {
		if v := question(output); !v.may {
			return decision{verdict: v}
		}
	}
	content, err := output.Render()
	if err != nil {
		return decision{verdict: verdict{err: err}}
	}
	if content == nil || !output.isGo() {
		return decision{verdict: write, content: content}
	}
	return decision{verdict: m.fitsRendered(output, content), content: content}
}

// takenOver returns the verdict on a file of ours by what is on disk: without the
// marker its owner has taken it over.
func (m *Module) takenOver(output Output) verdict {
	text, err := m.read(output.Path)
	switch {
	case err != nil:
		return verdict{err: err}
	case text == nil || Marked(output.Path, text):
		return write
	}
	if err := unclear(output.Path, text); err != nil {
		return verdict{err: err}
	}
	return verdict{line: output.Path + ": left alone, because it is yours now: it does not have the marker"}
}

// byPath returns the verdict on a file of yours by what is at its path. If
// that was to implement an RPC that is new, and does not, nor does any other,
// there is a line about it.
func (m *Module) byPath(output Output) verdict {
	if _, err := os.Lstat(m.file(output.Path)); errors.Is(err, fs.ErrNotExist) {
		return write
	} else if err != nil {
		return verdict{err: err}
	}
	rpc, ok := output.Element.(*model.Method)
	if !ok || output.test() || !output.isGo() || rpc.Written() || !output.joins(rpc.Service) {
		return leave
	}
	j := m.joined[rpc.Service]
	if j.err != nil || j.names()["."+rpc.Name] {
		return leave
	}
	if known, err := m.known(rpc); err != nil {
		return verdict{err: err}
	} else if known {
		return leave
	}
	if v := m.fitsImplementation(output, j, rpc); !v.may {
		return v
	}
	return withhold(output, "the file exists and does not implement %s: write %s", rpc, rpc.Name)
}

// byHistory returns the verdict on a file of yours by what earlier runs knew: what was
// deleted since comes back only if all are wanted.
func (m *Module) byHistory(output Output) verdict {
	known, err := m.known(output.Element)
	switch {
	case err != nil:
		return verdict{err: err}
	case m.awaited[output.Path]:
		return m.fitsAwaited(output)
	case known && !m.all:
		return leave
	}
	return write
}

// fitsAwaited returns the verdict on a file of yours that is awaited: it is written
// when the code has the log.
func (m *Module) fitsAwaited(output Output) verdict {
	var services []*model.Service
	switch element := output.Element.(type) {
	case *model.Program:
		for _, pkg := range element.Packages {
			services = append(services, pkg.Services...)
		}
	case *model.Service:
		services = append(services, element)
	case *model.Method:
		services = append(services, element.Service)
	}
	for _, service := range services {
		if j := m.joined[service]; j.renamedFrom != "" || j.impl != nil && j.lacksLog() {
			return leave // a step leads to it
		}
	}
	return write
}

// known reports whether an earlier run had an element.
func (m *Module) known(element model.Element) (bool, error) {
	if element == nil {
		return false, nil
	}
	if rpc, ok := element.(*model.Method); ok {
		if known, err := m.known(rpc.Service); err != nil || !known {
			return false, err // what is there is of a service of another name
		}
	}
	for _, trace := range element.Traces() {
		places := []string{trace.Path}
		if strings.Contains(trace.Path, "*") {
			var err error
			if places, err = fs.Glob(os.DirFS(m.root), trace.Path); err != nil {
				return false, err
			}
		}
		for _, at := range places {
			if found, err := m.holds(at, trace.Text); err != nil || found {
				return found, err
			}
		}
	}
	return false, nil
}

// holds reports whether a file has a text, and was not emptied.
func (m *Module) holds(at, text string) (bool, error) {
	content, err := m.read(at)
	return content != nil && bytes.Contains(content, []byte(text)) && !isEmptied(at, content), err
}

// fits returns the verdict on a file of yours that is new, by the code that it
// would join or call.
func (m *Module) fits(output Output) verdict {
	if !output.isGo() {
		return write
	}
	switch element := output.Element.(type) {
	case *model.Program:
		return m.fitsProgram(element)
	case *model.Service:
		if output.joins(element) {
			return m.fitsService(output, m.joined[element])
		}
	case *model.Method:
		if output.joins(element.Service) && output.test() {
			return m.fitsTests(output, m.joined[element.Service], element)
		}
		if output.joins(element.Service) {
			return m.fitsSkeleton(output, m.joined[element.Service], element)
		}
	}
	return write
}

// fitsProgram returns the verdict on a main: it calls the functions that make the
// services, so they must be known.
func (m *Module) fitsProgram(program *model.Program) verdict {
	for _, pkg := range program.Packages {
		for _, service := range pkg.Services {
			if j := m.joined[service]; j.err != nil {
				return verdict{err: j.failure()}
			}
		}
	}
	return write
}

// fitsService returns the verdict on a file of a service, by its implementation.
func (m *Module) fitsService(output Output, j *joined) verdict {
	code := j.service.Code
	switch {
	case j.err != nil:
		return verdict{err: j.failure()}
	case output.test() && code.New == "":
		return withhold(output, "no function here makes a %s from the event log alone", code.Type)
	case !output.test() && j.impl != nil && j.service.UsesEvents() && code.Field == "":
		return withhold(output, "%s has no field of type *%s.Log", code.Type, j.service.Package.Events.Name)
	}
	return write
}

// fitsSkeleton returns the verdict on the skeleton of an RPC.
func (m *Module) fitsSkeleton(output Output, j *joined, rpc *model.Method) verdict {
	switch {
	case j.err != nil:
		return verdict{err: j.failure()}
	case rpc.Written():
		return leave
	}
	return m.fitsImplementation(output, j, rpc)
}

// fitsTests returns the verdict on the test of an RPC: it comes with the
// skeleton, or to replace one that was deleted where all are wanted.
func (m *Module) fitsTests(output Output, j *joined, rpc *model.Method) verdict {
	again := m.all && rpc.Written() && rpc.Skeleton() == rpc.Kind && rpc.Event != nil
	switch {
	case !m.added[rpc] && !again && !m.awaited[output.Path]:
		return leave
	case j.err != nil:
		return verdict{err: j.failure()}
	case !j.serves():
		return withhold(output, "the tests here have no func serve like the one in a generated %s: write the test yourself", testsOfServices)
	}
	return write
}

// fitsImplementation returns the verdict on a method of the implementation for
// an RPC.
func (m *Module) fitsImplementation(output Output, j *joined, rpc *model.Method) verdict {
	if j.impl == nil {
		return withhold(output, "nothing in %s implements %s: write %s where its implementation is now", j.dir, j.service.FullName, rpc.Name)
	}
	if file := j.inTests(rpc.Name); file != nil {
		return withhold(output, "%s declares the method in tests: move it out of them, or give it another name there", file.at)
	}
	if names, _ := j.impl.fields(); slices.Contains(names, rpc.Name) {
		return withhold(output, "%s has a field %s, and a method can't have the same name: rename the field, and write the method", j.impl.name, rpc.Name)
	}
	for _, embedded := range j.impl.embedded() {
		if v := m.fitsEmbedded(output, j, rpc, embedded); !v.may {
			return v
		}
	}
	return write
}

// fitsEmbedded returns the verdict on a method by one of the types that the
// implementation embeds: the method must not hide one that the type brings.
func (m *Module) fitsEmbedded(output Output, j *joined, rpc *model.Method, embedded ast.Expr) verdict {
	if j.isStub(j.impl.file, embedded) {
		return write
	}
	methods, known := m.methods(j.impl.file, j.folder, embedded, 0)
	switch name := embeddedName(embedded); {
	case methods[rpc.Name] && j.impl.embeds("Unimplemented"+j.service.Name+"Server"):
		return withhold(output, "%s embeds %s, which has the method %s, and so has Unimplemented%sServer: write the method that is meant", j.impl.name, name, rpc.Name, j.service.Name)
	case methods[rpc.Name]:
		return withhold(output, "%s embeds %s, which has the method %s", j.impl.name, name, rpc.Name)
	case !known:
		return withhold(output, "%s embeds %s, which may have the method %s: write it if it has not", j.impl.name, name, rpc.Name)
	}
	return write
}

// fitsRendered returns the verdict on a Go file of yours by what it declares
// and uses.
func (m *Module) fitsRendered(output Output, content []byte) verdict {
	there := m.folder(path.Dir(output.Path))
	if len(there.files) == 0 {
		return write
	}
	file, err := parseGo(output.Path, content)
	switch {
	case err != nil:
		return verdict{err: err}
	case there.err != nil:
		return verdict{err: there.failure()}
	}
	if v := fitsNames(output, file, there.names()); !v.may {
		return v
	}
	service, ok := output.Element.(*model.Service)
	if ok && output.test() && output.joins(service) && !file.names()["newService"] && file.calls("newService") && !m.joined[service].builds() {
		return withhold(output, "the tests here have no func newService like the one in a generated %s: write the test yourself", testsOfServices)
	}
	return write
}

// fitsNames returns the verdict on a Go file by the names that its package declares
// already. There is a line if such a name is one that the file imports under or
// has from Go itself.
func fitsNames(output Output, file *goFile, declared names) verdict {
	for name := range file.names() {
		if declared[name] {
			return leave
		}
	}
	for _, name := range slices.Sorted(maps.Keys(file.imports)) {
		if declared[name] {
			return withhold(output, "your package declares %s, and the file would import a package of that name: write it yourself", name)
		}
	}
	for _, name := range file.universal() {
		if declared[name] {
			return withhold(output, "your package declares %s, and the file means Go's own: write it yourself", name)
		}
	}
	return write
}
