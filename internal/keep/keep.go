// Package keep decides which files a run may write, by what is on disk.
//
// A file of ours bears the marker and is written anew on every run, unless what
// stands in its place has no marker: then it has been taken over. A file of
// yours is written once, when what it is for is new and it fits the code that
// it joins, and never opened for writing again.
package keep

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
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
	Element model.Element          // what it is made for; nil for a copy of the runtime
	Render  func() ([]byte, error) // nil for no file after all
}

// test reports whether the output is a Go test.
func (o Output) test() bool { return strings.HasSuffix(o.Path, "_test.go") }

// File is a file that a run writes. One of ours that nothing is made of any
// more is written as an empty package, or better deleted where that can be.
type File struct {
	Path    string
	Content []byte
	Gone    bool
}

// Change says what writing the file below root would do: "add", "change" or
// "delete"; "" if it would do nothing.
func (f File) Change(root string) string {
	stands, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(f.Path)))
	switch {
	case err != nil:
		return "add"
	case f.Gone:
		return "delete"
	case !bytes.Equal(stands, f.Content):
		return "change"
	}
	return ""
}

// Writable is an error that names the files below root that can't be written.
// protoc and buf write one after the other, and leave it half done at the first
// that they can't.
func Writable(root string, files []File) error {
	var errs []error
	tried := map[string]error{} // folders
	for _, file := range files {
		at := filepath.Join(root, filepath.FromSlash(file.Path))
		stands, err := os.OpenFile(at, os.O_WRONLY, 0)
		if err == nil {
			err = stands.Close()
		} else if errors.Is(err, fs.ErrNotExist) {
			folder := standing(filepath.Dir(at))
			if _, done := tried[folder]; !done {
				tried[folder] = takesFiles(folder)
			}
			err = tried[folder]
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s can't be written: %w", file.Path, cause(err)))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%w\nNothing was written", errors.Join(errs...))
}

// standing is the first folder on the way up that is there.
func standing(folder string) string {
	for {
		_, err := os.Stat(folder)
		above := filepath.Dir(folder)
		if !errors.Is(err, fs.ErrNotExist) || above == folder {
			return folder
		}
		folder = above
	}
}

// takesFiles is the error of making a file in a folder, which only making one
// can tell on every system.
func takesFiles(folder string) error {
	file, err := os.CreateTemp(folder, ".protoc-gen-receiver-*")
	if err != nil {
		return fmt.Errorf("%s: %w", folder, cause(err))
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// cause is what is wrong with a path that is named already.
func cause(err error) error {
	if failed, ok := err.(*fs.PathError); ok {
		return failed.Err
	}
	return err
}

// Module is a module on disk.
type Module struct {
	root string
	path string
	all  bool // whether files of yours are written again that were deleted

	lines   []string
	folders sync.Map // of func() *folder, by folder
	joined  map[*model.Service]*joined
	wrote   sync.Map        // what is written for an element of yours in this run: true by element
	made    map[string]bool // paths of what this run makes
}

// At is the module of a path whose go.mod is in root. With all, files of yours
// that were deleted are written again.
func At(root, modulePath string, all bool) *Module {
	return &Module{root: root, path: modulePath, all: all, joined: map[*model.Service]*joined{}, made: map[string]bool{}}
}

// Lines are what the user should know though nothing is wrong.
func (m *Module) Lines() []string { return m.lines }

// Decide renders the outputs that may be written, and returns them. The
// implementations must have been looked at before, by [Module.Join]. What can't
// be read or parsed where it matters is an error, and then no file may be
// written: it is not known whose it is.
func (m *Module) Decide(outputs []Output) (files []File, err error) {
	decisions := make([]decision, len(outputs))
	for turn := range turns {
		m.decide(outputs, decisions, turn)
		m.joinNew(outputs, decisions, turn)
		if turn == ofServices {
			m.unmade()
		}
	}
	var errs []error
	for i, d := range decisions {
		m.made[outputs[i].Path] = true
		if d.told != "" {
			m.lines = append(m.lines, d.told)
		}
		switch {
		case d.err != nil:
			errs = append(errs, d.err)
		case d.content != nil:
			files = append(files, File{Path: outputs[i].Path, Content: d.content})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return files, nil
}

// Outputs are decided in turn, since those of a later turn join the code of an
// earlier one.
const (
	ofServices = iota // also all that is ours
	ofOthers          // also the tests of services that declare what others call
	ofTests           // those others: of RPCs, which come with their skeletons, and of consuming
	turns
)

// testsOfServices is the file that declares what other tests of a service call.
const testsOfServices = "service_test.go"

func turnOf(output Output) int {
	_, service := output.Element.(*model.Service)
	_, method := output.Element.(*model.Method)
	switch {
	case output.Owner == Ours || service && !output.test():
		return ofServices
	case output.test() && (method || service && path.Base(output.Path) != testsOfServices):
		return ofTests
	default:
		return ofOthers
	}
}

// decision is what becomes of an output.
type decision struct {
	content []byte // what to write, or nil
	told    string // what the user should know, or ""
	err     error
}

// decide decides on the outputs of a turn.
func (m *Module) decide(outputs []Output, decisions []decision, turn int) {
	each(len(outputs), func(i int) {
		if turnOf(outputs[i]) == turn {
			decisions[i] = m.on(outputs[i])
		}
	})
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

func (m *Module) on(output Output) decision {
	if output.Owner == Ours {
		return m.ours(output)
	}
	d := m.yours(output)
	if d.content != nil {
		m.wrote.Store(output.Element, true)
	}
	return d
}

func (m *Module) ours(output Output) (d decision) {
	stands, err := m.read(output.Path)
	if err != nil {
		return decision{err: err}
	}
	if stands != nil && !Marked(output.Path, stands) {
		if err := unclear(output.Path, stands); err != nil {
			return decision{err: err}
		}
		return decision{told: output.Path + ": left alone, as it is yours now: it does not bear the marker"}
	}
	if d.content, d.err = output.Render(); d.content != nil && output.Element != nil {
		d.content = withSource(d.content, output.Element)
	}
	return d
}

func (m *Module) yours(output Output) (d decision) {
	_, err := os.Lstat(m.file(output.Path))
	if err == nil {
		return m.inTheWay(output)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return decision{err: err}
	}
	if known, err := m.known(output.Element); err != nil || known && !m.all {
		return decision{err: err}
	}
	fits, told, err := m.fits(output)
	if err != nil || told != "" || !fits {
		return decision{told: told, err: err}
	}
	content, err := output.Render()
	if err != nil || content == nil || path.Ext(output.Path) != ".go" {
		return decision{content: content, err: err}
	}
	taken, told, err := m.collides(output, content)
	if err != nil || taken {
		return decision{told: told, err: err}
	}
	if told := m.lacks(output, content); told != "" {
		return decision{told: told}
	}
	return decision{content: content}
}

// inTheWay is the decision on a file of yours where one stands. If that was to
// implement an RPC that is new, and does not, nor does any other, it is told.
func (m *Module) inTheWay(output Output) (d decision) {
	rpc, ok := output.Element.(*model.Method)
	if !ok || output.test() || path.Ext(output.Path) != ".go" || rpc.Written {
		return decision{}
	}
	j := m.joined[rpc.Service]
	if j == nil || j.err != nil || path.Dir(output.Path) != j.dir || j.names()["."+rpc.Name] {
		return decision{}
	}
	if known, err := m.known(rpc); err != nil || known {
		return decision{err: err}
	}
	why := m.refuses(j, rpc)
	if why == "" {
		why = fmt.Sprintf("that file is there, and does not implement %s: write %s", rpc, rpc.Name)
	}
	return decision{told: fmt.Sprintf("%s: not written, as %s", output.Path, why)}
}

// known reports whether an earlier run had an element.
func (m *Module) known(element model.Element) (bool, error) {
	if element == nil {
		return false, nil
	}
	if rpc, ok := element.(*model.Method); ok {
		if known, err := m.known(rpc.Service); err != nil || !known {
			return false, err // what stands there is of a service of another name
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

// holds reports whether a file that is still made of something has a text.
func (m *Module) holds(at, text string) (bool, error) {
	stands, err := m.read(at)
	return stands != nil && bytes.Contains(stands, []byte(text)) && !bytes.Contains(stands, []byte(emptied)), err
}

// collides reports whether a Go file can't join the package in its folder, as
// that declares one of its names already, and tells if it is one that the file
// imports under or has from Go itself.
func (m *Module) collides(output Output, content []byte) (taken bool, told string, err error) {
	there := m.folder(path.Dir(output.Path))
	if len(there.files) == 0 {
		return false, "", nil
	}
	joining, err := parseGo(output.Path, content)
	if err != nil {
		return false, "", err
	}
	if there.err != nil {
		return true, "", there.failure()
	}
	names := there.names()
	for name := range joining.names() {
		if names[name] {
			return true, "", nil
		}
	}
	for _, name := range slices.Sorted(maps.Keys(joining.imports)) {
		if names[name] {
			return true, fmt.Sprintf("%s: not written, as your package declares %s, which it would import: write it yourself", output.Path, name), nil
		}
	}
	for _, name := range joining.universal() {
		if names[name] {
			return true, fmt.Sprintf("%s: not written, as your package declares %s, which is Go's own in it: write it yourself", output.Path, name), nil
		}
	}
	return false, "", nil
}

// read is the content of a file, or nil if there is none.
func (m *Module) read(at string) ([]byte, error) {
	text, err := os.ReadFile(m.file(at))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && text == nil {
		text = []byte{}
	}
	return text, err
}

// list is the files in a folder, or none if there is no such folder.
func (m *Module) list(dir string) ([]fs.DirEntry, error) {
	entries, err := m.entries(dir)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.IsDir() }), err
}

// entries is what is in a folder, or nothing if there is no such folder.
func (m *Module) entries(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(m.file(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

func (m *Module) file(at string) string { return filepath.Join(m.root, filepath.FromSlash(at)) }
