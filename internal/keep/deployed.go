package keep

import (
	"bytes"
	"fmt"
	"go/ast"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// needed is what files that deploy a server may need of its main: what in their text
// says so, and the package of the runtime that brings it.
var needed = []struct{ mention, what, pkg string }{
	{"--keys", "--keys", "guard"},
	{"--ops-addr", "--ops-addr", "ops"},
	{"--http-addr", "--http-addr", "web"},
	{"grpc_server_", "metrics", "metrics"},
}

// undeployable returns a line for each program whose main was there before, and lacks
// what files that this run writes to deploy it need: the server would not start by them.
// A main that does not parse the server's flags has its own.
func (m *Module) undeployable(outputs []Output, decisions []decision) (lines []string) {
	texts := map[*model.Program][][]byte{}
	var programs []*model.Program
	for i, output := range outputs {
		program, ok := output.Element.(*model.Program)
		if !ok || !decisions[i].writes() || !strings.HasPrefix(output.Path, program.DeployDir()+"/") {
			continue
		}
		if texts[program] == nil {
			programs = append(programs, program)
		}
		texts[program] = append(texts[program], decisions[i].content)
	}
	for _, program := range programs {
		main := m.folder(program.ServerDir())
		parses := m.calls(main.dir)[program.Module.Runtime+"/server.Parse"]
		if m.mains[main.dir] || main.err != nil || len(parses) == 0 {
			continue
		}
		var lacks []string
		for _, need := range needed {
			mentions := slices.ContainsFunc(texts[program], func(text []byte) bool { return bytes.Contains(text, []byte(need.mention)) })
			if mentions && !main.importsCode(program.Module.Runtime+"/"+need.pkg) {
				lacks = append(lacks, fmt.Sprintf("%s (package %s)", need.what, need.pkg))
			}
		}
		if len(lacks) > 0 {
			lines = append(lines, fmt.Sprintf("%s: the new files in %s need what this main does not have: %s; add it as %s says under \"What main gets\", or take it out of those files",
				parses[0], program.DeployDir(), strings.Join(lacks, ", "), upgrading))
		}
	}
	return lines
}

const upgrading = "https://github.com/protoc-gen-receiver/protoc-gen-receiver/blob/main/docs/upgrading.md"

// importsCode reports whether a file in a folder that is not a test imports a package.
func (f *folder) importsCode(importPath string) bool {
	return slices.ContainsFunc(f.files, func(file *goFile) bool {
		return !file.test && slices.ContainsFunc(file.syntax.Imports, func(spec *ast.ImportSpec) bool { return importPathOf(spec) == importPath })
	})
}
