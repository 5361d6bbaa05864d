// Package keep decides which files a run may write, by what is on disk.
//
// A file of ours has the marker and is written again on every run, unless the
// one on disk has no marker: then its owner has taken it over. A file of yours
// is written once, when what it is for is new and it fits the code that it joins,
// and is never opened for writing again.
package keep

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/report"
)

// Owner says whose a file is.
type Owner string

// The owners.
const (
	Ours  Owner = "ours"
	Yours Owner = "yours"
)

// Output is a file that a run could write.
type Output struct {
	Path    string // below the module's root, with slashes
	Owner   Owner
	Element model.Element // what it is made for; nil for a copy of the runtime
	// Template is the path of its template in the tree; "" for a copy of the
	// runtime.
	Template string
	Render   func() ([]byte, error) // returns nil if the file is not made after all
}

// test reports whether the output is a Go test.
func (o Output) test() bool { return strings.HasSuffix(o.Path, "_test.go") }

// isGo reports whether the output is a Go file.
func (o Output) isGo() bool { return path.Ext(o.Path) == ".go" }

// sample reports whether the output is the request that the tests of an RPC send.
func (o Output) sample() bool {
	rpc, ok := o.Element.(*model.Method)
	return ok && o.Owner == Yours && o.Path == rpc.SamplePath()
}

// joins reports whether the output is in the package that implements a service.
func (o Output) joins(service *model.Service) bool { return path.Dir(o.Path) == service.Impl().Dir }

// Module is a module on disk.
type Module struct {
	root string
	open func() (*Root, error) // opens the root once
	path string
	all  bool // whether files of yours are written again that were deleted

	lines   []report.Line
	folders sync.Map // of func() *folder, by folder
	// histories are of elements, once they have been looked up.
	histories sync.Map
	joined    map[*model.Service]*joined
	added     map[model.Element]bool // elements for which this run writes a file of yours
	made      map[string]bool        // paths of what this run makes, or would if it were not there
	written   map[string]bool        // paths of those that it writes
	// mains are the folders for which this run writes a func main, and stranded
	// the paths of what it does not make because there is none.
	mains, stranded map[string]bool
	yours           map[string]bool // paths of Go files of yours that this run could write
	// awaited are the paths of files of yours that are to come, though an earlier run
	// knew what they are for, and undone those with steps for their owner.
	awaited, undone map[string]bool
	imported        map[string][]string // folders of this module that a Go file on disk imports, by its path
	runtimeFiles    []string            // paths of what is in the folder of its copy
	others          bool                // whether there is code of services of protos that this run is not on
}

// At returns the module of a path whose go.mod is in root. With all, files of yours
// that were deleted are written again.
func At(root, modulePath string, all bool) *Module {
	return &Module{
		root: root, open: sync.OnceValues(func() (*Root, error) { return OpenRoot(root) }), path: modulePath, all: all,
		joined: map[*model.Service]*joined{}, added: map[model.Element]bool{},
		made: map[string]bool{}, written: map[string]bool{}, mains: map[string]bool{}, stranded: map[string]bool{},
		yours: map[string]bool{}, awaited: map[string]bool{}, undone: map[string]bool{},
	}
}

// Lines returns what to print for the user, though nothing is wrong.
func (m *Module) Lines() []report.Line { return m.lines }

// print has lines of one kind printed.
func (m *Module) print(kind report.Kind, texts ...string) {
	m.lines = append(m.lines, report.Of(kind, texts...)...)
}

// Join looks at the implementations of the services, and sets [model.Service.Code]
// to what they are called. It has to be done before the templates are chosen. It
// adds to the lines where the code no longer fits the protos.
func (m *Module) Join(target *model.Module) {
	services := target.Services()
	all := make([]*joined, len(services))
	each(len(services), func(i int) { all[i] = join(m.folder(services[i].Impl().Dir), services[i]) })
	for _, j := range all {
		m.joined[j.service] = j
		j.service.Code = j.code()
	}
	for _, j := range all {
		m.findRenamed(j)
		m.lines = append(m.lines, j.drift(m.joined)...)
		m.print(report.NotFitting, m.moved(j)...)
		m.print(report.NotFitting, m.staleSamples(j.service)...)
	}
	for _, program := range target.Programs {
		m.print(report.NotServed, m.unserved(program)...)
	}
}

// Decide renders the outputs that may be written, and returns them. The
// implementations must have been looked at before, by [Module.Join]. What can't
// be read or parsed where it matters is an error, and then no file may be
// written: it is not known whose it is.
func (m *Module) Decide(outputs []Output) (files []File, err error) {
	decisions := make([]decision, len(outputs))
	for stage := range stages {
		each(len(outputs), func(i int) {
			if stageOf(outputs[i]) == stage {
				decisions[i] = m.decide(outputs[i])
			}
		})
		m.joinAdded(outputs, decisions, stage)
	}
	m.strand(outputs, decisions)
	m.leaveUntested(outputs, decisions)
	m.withAwaited(outputs, decisions)
	var errs []error
	traces := traces(outputs)
	for i, d := range decisions {
		m.made[outputs[i].Path] = outputs[i].Owner == Yours || d.writes()
		if d.line != "" {
			m.print(report.Kept, d.line)
		}
		errs = append(errs, d.err)
		if d.writes() {
			m.written[outputs[i].Path] = true
			files = append(files, File{Path: outputs[i].Path, Content: d.content, turn: turnOf(outputs[i], traces)})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	m.print(report.NotServed, m.undeployable(outputs, decisions)...)
	return files, nil
}

// turnOf returns when an output is to be written.
func turnOf(output Output, traces map[string]bool) turn {
	switch {
	case output.Owner == Yours && (output.test() || output.sample()):
		return ofYourTests
	case output.Owner == Yours:
		return ofYours
	case path.Dir(output.Path) == model.RecordDir:
		return ofRecords
	case traces[output.Path]:
		return ofTraces
	}
	return ofOurs
}

// traces returns the paths of those outputs that are traces.
func traces(outputs []Output) map[string]bool {
	patterns := map[string]bool{}
	for _, output := range outputs {
		if output.Element != nil {
			for _, trace := range output.Element.Traces() {
				patterns[trace.Path] = true
			}
		}
	}
	globs := slices.DeleteFunc(slices.Collect(maps.Keys(patterns)), func(pattern string) bool { return !strings.Contains(pattern, "*") })
	found := map[string]bool{}
	for _, output := range outputs {
		found[output.Path] = patterns[output.Path] || slices.ContainsFunc(globs, func(glob string) bool {
			matches, _ := path.Match(glob, output.Path)
			return matches
		})
	}
	return found
}

// Outputs are decided in stages, because those of a later stage join or call the
// code of an earlier one.
const (
	ofServices = iota // the code of services, and all that is ours
	ofOthers          // also the tests of services that declare what others call
	ofTests           // those others: of RPCs, which come with their skeletons, as do samples, and of consuming
	stages
)

// testsOfServices is the file that declares what other tests of a service call.
const testsOfServices = "service_test.go"

func stageOf(output Output) int {
	_, service := output.Element.(*model.Service)
	_, method := output.Element.(*model.Method)
	switch {
	case output.Owner == Ours || service && !output.test():
		return ofServices
	case output.sample() || output.test() && (method || service && path.Base(output.Path) != testsOfServices):
		return ofTests
	default:
		return ofOthers
	}
}

// joinAdded notes what a stage adds of yours. Services that get files are looked
// at again: by templates of yours they may be called something else. Those that
// nothing implements then have nothing that a main could call.
func (m *Module) joinAdded(outputs []Output, decisions []decision, stage int) {
	for i, output := range outputs {
		if stageOf(output) != stage || !decisions[i].writes() {
			continue
		}
		if output.Owner == Yours {
			m.added[output.Element] = true
		}
		service, ok := output.Element.(*model.Service)
		if !ok || !output.joins(service) || !output.isGo() {
			continue
		}
		if file, err := parseGo(output.Path, decisions[i].content); err == nil {
			j := join(m.joined[service].with(file), service)
			m.joined[service], service.Code = j, j.code()
			m.folders.Store(j.dir, func() *folder { return j.folder })
		}
	}
	for service, j := range m.joined {
		if j.impl == nil && j.err == nil {
			service.Code.New = ""
		}
	}
}

// each does something for each number below n, as many at a time as there are
// processors.
func each(n int, do func(i int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	workers.Wait()
}

// read returns the content of a file, or nil if it does not exist.
func (m *Module) read(at string) ([]byte, error) {
	root, err := m.open()
	if err != nil {
		return nil, err
	}
	text, err := root.Read(at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// list returns the files in a folder, or nil if it does not exist.
func (m *Module) list(dir string) ([]fs.DirEntry, error) {
	entries, err := m.entries(dir)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.IsDir() }), err
}

// entries returns what is in a folder, or nil if it does not exist.
func (m *Module) entries(dir string) ([]fs.DirEntry, error) {
	root, err := m.open()
	if err != nil {
		return nil, err
	}
	entries, err := root.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

// lacks reports whether there is nothing at a path.
func (m *Module) lacks(at string) bool {
	root, err := m.open()
	if err == nil {
		_, err = root.Lstat(at)
	}
	return err != nil
}
