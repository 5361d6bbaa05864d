package keep

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// history is what earlier runs did for an element.
type history int

const (
	unknown     history = iota // none had it
	interrupted                // one had it, and was cut off before all that is yours was written
	finished                   // what is yours was written; what is missing was deleted since
)

// history returns what earlier runs did for an element.
//
// The traces of a run are in files of ours that protoc and buf may write before those
// of yours, so they do not show whether those were written. The record, which comes
// last, does. Releases that wrote no records left traces that name none. Without a
// trace, as where our own files were deleted, the element is new.
func (m *Module) history(element model.Element) (history, error) {
	if element == nil {
		return unknown, nil
	}
	if known, ok := m.histories.Load(element); ok {
		return known.(history), nil
	}
	of, err := m.readHistory(element)
	if err == nil {
		m.histories.Store(element, of)
	}
	return of, err
}

func (m *Module) readHistory(element model.Element) (history, error) {
	if rpc, ok := element.(*model.Method); ok {
		if of, err := m.history(rpc.Service); err != nil || of == unknown {
			return unknown, err // what is there is of a service of another name
		}
	}
	traced, besidesMain, awaits, err := m.traced(element)
	if err != nil || !traced {
		return unknown, err
	}
	record, err := m.record(element.Record())
	switch {
	case err != nil:
		return unknown, err
	case record == silent || record == absent && (awaits || !besidesMain):
		return interrupted, nil
	}
	return finished, nil // also if the record was cut off: all else was written before
}

// known reports whether an earlier run had an element.
func (m *Module) known(element model.Element) (bool, error) {
	history, err := m.history(element)
	return history != unknown, err
}

// record is what a record says of an element.
type record int

const (
	absent     record = iota // there is no record
	incomplete               // it was cut off
	silent                   // it does not list the element
	listed
)

func (m *Module) record(at model.Trace) (record, error) {
	if at.Path == "" {
		return absent, nil
	}
	says := absent
	files, err := m.files(at.Path)
	for _, file := range files {
		text, err := m.read(file)
		if err != nil {
			return absent, err
		}
		if text == nil {
			continue
		}
		whole := strings.ReplaceAll(string(text), "\r\n", "\n")
		switch {
		case at.Text == "" && len(text) > 0 || strings.Contains(whole, "\n"+at.Text+"\n"):
			return listed, nil
		case !strings.HasSuffix(whole, endOfRecord):
			says = incomplete
		default:
			says = silent
		}
	}
	return says, err
}

// endOfRecord is how a whole record ends.
const endOfRecord = "delete this file.\n"

// traced reports whether an element has a trace, whether one of its traces is not the
// main of a server, and whether one names a record. A main alone may be all that a run
// has written that was cut off, since files of yours are written before ours.
func (m *Module) traced(element model.Element) (traced, besidesMain, awaits bool, err error) {
	for _, trace := range element.Traces() {
		files, err := m.files(trace.Path)
		if err != nil {
			return false, false, false, err
		}
		for _, at := range files {
			text, err := m.read(at)
			if err != nil {
				return false, false, false, err
			}
			if len(text) > 0 && bytes.Contains(text, []byte(trace.Text)) && !isEmptied(at, text) {
				traced = true
				besidesMain = besidesMain || path.Base(at) != "main.go"
				awaits = awaits || bytes.Contains(text, []byte(recordLine))
			}
		}
	}
	return traced, besidesMain, awaits, nil
}

// recordLine begins the line of a trace that names the record.
const recordLine = "\n// scaffold: " + model.RecordDir + "/"

// files returns the files of a path that may have stars.
func (m *Module) files(pattern string) ([]string, error) {
	if !strings.Contains(pattern, "*") {
		return []string{pattern}, nil
	}
	root, err := m.open()
	if err != nil {
		return nil, err
	}
	return root.Glob(pattern)
}

// Absent returns a line for each service that earlier runs had and of which nothing is
// left where its implementation would be, though its program is there. Its owner may
// have deleted it; or a release without records was cut off.
func (m *Module) Absent(target *model.Module) (lines []string, err error) {
	for _, service := range target.Services() {
		dir := service.Impl().Dir
		main := m.folder(service.Package.Program.ServerDir())
		if m.added[service] || len(m.folder(dir).files) > 0 || m.folder(dir).err != nil || !m.hasMain(main.dir) || m.servedElsewhere(service, main) {
			continue
		}
		if history, err := m.history(service); err != nil {
			return nil, err
		} else if history == finished {
			lines = append(lines, fmt.Sprintf("%s: nothing implements %s, of which an earlier run knew: run once with scaffold=all to have what is yours written again, "+
				"or pass server.Without(%q) to server.Run in %s in its place", dir, service, service.FullName, main.dir))
		}
	}
	return lines, nil
}

// servedElsewhere reports whether a main does without the implementation of a service
// in its own folder: it serves another one, or none.
func (m *Module) servedElsewhere(service *model.Service, main *folder) bool {
	calls := m.calls(main.dir)
	if len(calls[fmt.Sprintf("%q", service.FullName)]) > 0 { // as of server.Without
		return true
	}
	return len(calls[service.Package.Server.Path+"."+service.Func]) > 0 && !slices.ContainsFunc(main.files, func(file *goFile) bool {
		for _, importPath := range file.imports {
			if importPath == service.Impl().Path {
				return true
			}
		}
		return false
	})
}
