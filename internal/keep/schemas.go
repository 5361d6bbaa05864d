package keep

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/report"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/compat"
)

// KeepSchemas adds to the events of a module what the repository keeps of their former
// messages: what earlier runs wrote, until it is neither needed nor misread. Of an event that
// was renamed that is also what is kept under its former names. It adds a line for each field
// by which stored events would be misread. It must be called before [Module.Decide].
func (m *Module) KeepSchemas(target *model.Module) error {
	var errs []error
	for _, event := range target.EventTypes() {
		files := append(m.schemasOf(event.Was), event.SchemasFile())
		var former []string
		unread := len(errs)
		for _, at := range slices.Compact(files) {
			kept, err := m.keptAt(at)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w\nNothing was written, because it is not known what stored events are: restore the file, or, if no log has any, delete it", at, err))
			}
			former = append(former, kept...)
		}
		if len(former) == 0 || len(errs) > unread {
			continue
		}
		lines, err := event.Keep(former)
		errs = append(errs, err)
		m.print(report.Misread, lines...)
	}
	return errors.Join(errs...)
}

// schemasFile ends the names of the files that keep what events were.
const schemasFile = "_schemas_test.go"

// schemasOf returns the files that keep what events of some names were.
func (m *Module) schemasOf(names []string) (files []string) {
	if len(names) == 0 {
		return nil
	}
	var look func(dir string)
	look = func(dir string) {
		entries, _ := m.entries(dir)
		for _, entry := range entries {
			at := path.Join(dir, entry.Name())
			switch {
			case entry.IsDir() && !passedOver(entry.Name()) && at != model.RuntimeDir:
				look(at)
			case m.keepsSchemasOf(at, names):
				files = append(files, at)
			}
		}
	}
	look(".")
	return files
}

// keepsSchemasOf reports whether a file keeps what events of some names were.
func (m *Module) keepsSchemasOf(at string, names []string) bool {
	if !strings.HasSuffix(at, schemasFile) {
		return false
	}
	text, err := m.read(at)
	name, found := strings.CutPrefix(sourceOf(text).element, eventElement)
	return err == nil && found && slices.Contains(names, name)
}

// keptAt returns the texts of the former versions in a file that keeps them: none if it is
// not ours.
func (m *Module) keptAt(at string) (kept []string, err error) {
	text, err := m.read(at)
	if err != nil || !Marked(at, text) || isEmptied(at, text) {
		return nil, nil // [Module.Decide] reports what is wrong with its text
	}
	if kept, err = keptIn(text); err != nil {
		return nil, err
	}
	for _, text := range kept {
		if _, err := compat.Parse(text); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// keptIn returns the texts of the former versions in a file that keeps them: all its raw
// strings.
func keptIn(text []byte) (kept []string, err error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	ast.Inspect(file, func(node ast.Node) bool {
		if literal, ok := node.(*ast.BasicLit); ok && strings.HasPrefix(literal.Value, "`") {
			if text, err := strconv.Unquote(literal.Value); err == nil {
				kept = append(kept, text)
			}
		}
		return true
	})
	return kept, nil
}
