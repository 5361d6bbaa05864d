package keep

import (
	"bytes"
	"go/ast"
	"go/build/constraint"
	"go/types"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// strand takes back the files of ours that belong to a program without a func
// main, neither on disk nor by this run: its owner has deleted it, and what is
// left would not build. Those of a program whose main is not always built are
// built when it is.
func (m *Module) strand(outputs []Output, decisions []decision) {
	for i, output := range outputs {
		if !output.isGo() {
			continue
		}
		if output.Owner == Yours {
			m.yours[output.Path] = true
		}
		if decisions[i].writes() && declaresMain(output.Path, decisions[i].content) {
			m.mains[path.Dir(output.Path)] = true
		}
	}
	for i, d := range decisions {
		if !d.writes() || outputs[i].Owner != Ours || !outputs[i].isGo() || !ofProgram(d.content) {
			continue
		}
		dir := path.Dir(outputs[i].Path)
		if !m.hasMain(dir) {
			decisions[i] = decision{}
			m.stranded[outputs[i].Path] = true
		} else if expr := m.constraintOfMain(dir); expr != "" && !bytes.Contains(d.content, []byte("\n//go:build ")) {
			decisions[i].content = bytes.Replace(d.content, []byte("\npackage main\n"), []byte("\n//go:build "+expr+"\n\npackage main\n"), 1)
		}
	}
}

// leaveUntested takes back the tests of a program whose main is not like ours: they would
// not build. It may be one of your templates, or be there already. A test of ours calls
// nothing but its run.
func (m *Module) leaveUntested(outputs []Output, decisions []decision) {
	for i, output := range outputs {
		if !decisions[i].writes() || !strings.HasSuffix(output.Path, "_test.go") || !ofProgram(decisions[i].content) {
			continue
		}
		dir := path.Dir(output.Path)
		files := slices.Clone(m.folder(dir).files)
		for j, d := range decisions {
			if !d.writes() || path.Dir(outputs[j].Path) != dir || !outputs[j].isGo() {
				continue
			}
			if file, err := parseGo(outputs[j].Path, d.content); err == nil {
				files = append(files, file)
			}
		}
		fits := (*goFile).runsAsOurs
		if output.Owner == Ours {
			fits = (*goFile).runs
		}
		unknown := output.Owner == Ours && m.folder(dir).err != nil // such as a main with conflicts
		if !unknown && !slices.ContainsFunc(files, fits) {
			decisions[i] = decision{}
			m.stranded[output.Path] = true
		}
	}
}

// runs reports whether a file has the function run of our main.
func (f *goFile) runs() bool {
	return !f.test && slices.ContainsFunc(f.syntax.Decls, func(decl ast.Decl) bool {
		function, ok := decl.(*ast.FuncDecl)
		return ok && function.Recv == nil && function.Name.Name == "run" &&
			types.ExprString(function.Type) == "func(ctx context.Context, args []string) error"
	})
}

// runsAsOurs reports whether a file has that function, and the packages with which our
// main composes each server.
func (f *goFile) runsAsOurs() bool {
	runs := f.runs()
	for _, name := range []string{"guard", "ops", "server"} {
		runs = runs && slices.ContainsFunc(f.syntax.Imports, func(spec *ast.ImportSpec) bool { return path.Base(importPathOf(spec)) == name })
	}
	return runs
}

// declaresMain reports whether a Go file is of a program and has its func main.
func declaresMain(at string, content []byte) bool {
	if !ofProgram(content) || !bytes.Contains(content, []byte("func main()")) {
		return false
	}
	file, err := parseGo(at, content)
	return err == nil && !file.test && file.names()["main"]
}

// programClause matches the package clause of a program.
var programClause = regexp.MustCompile(`(?m)^package main\b`)

// ofProgram reports whether a Go file is of a package main.
func ofProgram(content []byte) bool {
	return bytes.Contains(content, []byte("package main")) && programClause.Match(content)
}

// hasMain reports whether a folder has a func main: of yours on disk, whatever it has in
// its comments, or by this run. Where that can't be read it is taken to be there.
func (m *Module) hasMain(dir string) bool {
	return m.mains[dir] || m.folder(dir).err != nil || len(m.mainFiles(dir)) > 0
}

// mainFiles returns the files of yours in a folder that have a func main.
func (m *Module) mainFiles(dir string) (files []*goFile) {
	for _, file := range m.folder(dir).files {
		if !file.test && (!file.ours || m.yours[file.at]) && file.names()["main"] {
			files = append(files, file)
		}
	}
	return files
}

// constraintOfMain returns the build constraint under which a folder has a func main; ""
// if it has one without, or that is not known.
func (m *Module) constraintOfMain(dir string) string {
	if m.mains[dir] || m.folder(dir).err != nil {
		return ""
	}
	var all []string
	for _, file := range m.mainFiles(dir) {
		expr := m.constraintOf(file)
		if expr == "" {
			return ""
		}
		all = append(all, expr)
	}
	switch len(all) {
	case 0:
		return ""
	case 1:
		return all[0]
	}
	slices.Sort(all)
	return "(" + strings.Join(all, ") || (") + ")"
}

// constraintOf returns the constraint that a file has by its line //go:build and its name.
func (m *Module) constraintOf(file *goFile) string {
	expr := model.Constraint(strings.TrimSuffix(path.Base(file.at), ".go"))
	text, err := m.read(file.at)
	if err != nil {
		return expr
	}
	for line := range strings.Lines(string(text[:file.fset.Position(file.syntax.Package).Offset])) {
		if line = strings.TrimSpace(line); constraint.IsGoBuild(line) {
			if built, err := constraint.Parse(line); err == nil && expr == "" {
				expr = built.String()
			} else if err == nil {
				expr += " && (" + built.String() + ")"
			}
		}
	}
	return expr
}
