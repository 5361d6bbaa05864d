package keep

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"path"
	"slices"

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
	text, err := m.read(output.Path)
	if err != nil {
		return decision{verdict: verdict{err: err}}
	}
	v := takenOver(output, text)
	var content []byte
	if v.may || len(text) < cutLength {
		content, err = output.Render()
	}
	if content != nil && output.Element != nil {
		content = withSource(content, newSource(output))
	}
	switch {
	case !v.may && (content == nil || err != nil || !bytes.HasPrefix(content, text)):
		return decision{verdict: v}
	case err != nil:
		return decision{verdict: verdict{err: err}}
	}
	return decision{verdict: write, content: content}
}

// cutLength is how long a file of ours is at most that was cut off before its marker.
const cutLength = 8 << 10

func (m *Module) decideYours(output Output) decision {
	there, cut, err := m.cutOff(output)
	if err != nil {
		return decision{verdict: verdict{err: err}}
	}
	questions := []func(Output) verdict{m.byPath, m.byHistory, m.fits}
	if cut {
		questions = questions[2:]
	}
	if len(there) > 0 {
		if content, err := output.Render(); err != nil || !bytes.HasPrefix(content, there) || len(there) == len(content) {
			return decision{verdict: leave}
		}
	}
	for _, question := range questions {
		if v := question(output); !v.may {
			return decision{verdict: v}
		}
	}
	content, err := output.Render()
	if err != nil {
		return decision{verdict: verdict{err: err}}
	}
	if content == nil || !output.isGo() || len(there) > 0 {
		return decision{verdict: write, content: content}
	}
	return decision{verdict: m.fitsRendered(output, content), content: content}
}

// cutOff reports whether a file of yours may be one that a run began to write, and
// returns what is there: nothing, or what that run would have written, up to somewhere.
// An empty file counts as missing, and nobody deletes a file like that.
func (m *Module) cutOff(output Output) (there []byte, cut bool, err error) {
	root, err := m.open()
	if err != nil {
		return nil, false, err
	}
	info, err := root.Lstat(output.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, nil
	case err != nil || !info.Mode().IsRegular():
		return nil, false, err
	case info.Size() == 0:
		return nil, true, nil
	}
	history, err := m.history(output.Element)
	again := history == interrupted || m.awaited[output.Path] && !m.undone[output.Path]
	if err != nil || !again && !output.sample() {
		return nil, false, err
	}
	there, err = m.read(output.Path)
	if err != nil || len(there) == 0 || output.sample() && json.Valid(there) { // its beginning is not JSON
		return nil, false, err
	}
	return there, true, nil
}

// takenOver returns the verdict on a file of ours by what is on disk: without the
// marker its owner has taken it over.
func takenOver(output Output, text []byte) verdict {
	if len(text) == 0 || Marked(output.Path, text) || cutInHead(output.Path, text) {
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
	root, err := m.open()
	if err == nil {
		_, err = root.Lstat(output.Path)
	}
	if errors.Is(err, fs.ErrNotExist) {
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
	if history, err := m.history(rpc); err != nil {
		return verdict{err: err}
	} else if history == finished {
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
	history, err := m.history(output.Element)
	switch {
	case err != nil:
		return verdict{err: err}
	case m.awaited[output.Path]:
		return m.fitsAwaited(output)
	case history == finished && !m.all:
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

// fits returns the verdict on a file of yours that is new, by the code that it
// would join or call.
func (m *Module) fits(output Output) verdict {
	if output.sample() {
		return m.fitsSample(output)
	}
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

// comesWith reports whether what comes with the skeleton of an RPC may be written:
// beside it, or after it if a run was cut off between them.
func (m *Module) comesWith(rpc *model.Method, output Output) (bool, error) {
	history, err := m.history(rpc)
	return m.added[rpc] || m.awaited[output.Path] || history == interrupted && rpc.Written(), err
}

// fitsSample returns the verdict on the sample of an RPC: it comes with the skeleton, or
// replaces one that was deleted where all are wanted.
func (m *Module) fitsSample(output Output) verdict {
	rpc := output.Element.(*model.Method)
	comes, err := m.comesWith(rpc, output)
	return verdict{may: err == nil && (comes || m.all && rpc.Written()), err: err}
}

// fitsTests returns the verdict on the test of an RPC: it comes with the skeleton, or
// replaces one that was deleted where all are wanted.
func (m *Module) fitsTests(output Output, j *joined, rpc *model.Method) verdict {
	again := m.all && rpc.Written() && rpc.Skeleton() == rpc.Kind && rpc.Event != nil
	comes, err := m.comesWith(rpc, output)
	switch {
	case err != nil:
		return verdict{err: err}
	case !comes && !again:
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
