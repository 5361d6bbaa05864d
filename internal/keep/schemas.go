package keep

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/report"
)

// KeepSchemas adds to the events of a module what the repository keeps of their former
// messages: what earlier runs wrote, until it is neither needed nor misread. It adds a line
// for each field by which stored events would be misread. It must be called before
// [Module.Decide].
func (m *Module) KeepSchemas(target *model.Module) error {
	var errs []error
	for _, event := range target.EventTypes() {
		at := event.SchemasFile()
		text, err := m.read(at)
		if err != nil || !Marked(at, text) || isEmptied(at, text) {
			errs = append(errs, err) // [Module.Decide] reports what is wrong with its text
			continue
		}
		former, err := keptIn(text)
		var lines []string
		if err == nil {
			lines, err = event.Keep(former)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w\nNothing was written, because it is not known what stored events are: restore the file, or, if no log has any, delete it", at, err))
		}
		m.print(report.Misread, lines...)
	}
	return errors.Join(errs...)
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
