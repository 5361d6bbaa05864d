package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// packages returns the names of the packages that a Go file can import, by path: those
// of its module, those that its module depends on, and the standard library.
func packages(file string, env []string) (map[string]string, error) {
	dir := filepath.Dir(file)
	for ; ; dir = filepath.Dir(dir) {
		if found, err := filepath.Glob(filepath.Join(dir, "go.mod")); err != nil || len(found) > 0 {
			break
		}
		if dir == filepath.Dir(dir) {
			return nil, fmt.Errorf("%s is not in a module", file)
		}
	}
	library, err := standard()
	if err != nil {
		return nil, err
	}
	reached, err := list(dir, env, "-deps", "./...")
	if err != nil {
		return nil, err
	}
	named := map[string]string{}
	for line := range strings.Lines(library + reached) {
		words := strings.Fields(line)
		if len(words) != 3 || strings.HasPrefix(words[0], "vendor/") {
			continue
		}
		if words[2] == "true" && strings.Contains("/"+words[0]+"/", "/internal/") {
			continue
		}
		named[words[0]] = words[1]
	}
	return named, nil
}

// standard lists the packages of the standard library, which are the same for each file.
var standard = sync.OnceValues(func() (string, error) { return list("", os.Environ(), "std") })

// list returns for each package a line: its path, its name, and whether it is of the
// standard library.
func list(dir string, env []string, args ...string) (string, error) {
	command := exec.Command("go", append([]string{"list", "-e", "-f", "{{.ImportPath}} {{.Name}} {{.Standard}}"}, args...)...)
	command.Dir, command.Env = dir, env
	output, err := command.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("go list: %w\n%s", err, exit.Stderr)
	}
	return string(output), err
}

// mend removes the imports of a Go file that nothing uses, and adds those of the
// packages that it names without importing them, as an editor does.
func mend(file string, text []byte, env []string) ([]byte, error) {
	named, err := packages(file, env)
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, file, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	used := qualifiers(tree)
	if err := undeclared(used, file); err != nil {
		return nil, err
	}
	var edited []byte
	kept := 0 // up to where text is in edited
	for _, spec := range tree.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		name := cmp.Or(named[path], path[strings.LastIndex(path, "/")+1:])
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if used[name] || name == "_" || name == "." {
			delete(used, name)
			continue
		}
		begin, end := files.Position(spec.Pos()).Offset, files.Position(spec.End()).Offset
		begin = bytes.LastIndexByte(text[:begin], '\n') + 1
		edited, kept = append(edited, text[kept:begin]...), end+1
	}
	edited = append(edited, text[kept:]...)
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(used)) {
		path, err := choose(name, named)
		if err != nil {
			return nil, err
		}
		missing = append(missing, "import "+strconv.Quote(path)+"\n")
	}
	clause := files.Position(tree.Name.End()).Offset
	return slices.Concat(edited[:clause], []byte("\n\n"+strings.Join(missing, "")), edited[clause:]), nil
}

// qualifiers returns what a file may mean as the names of packages: x in x.Y, where
// nothing in the file declares x.
func qualifiers(tree *ast.File) map[string]bool {
	used := map[string]bool{}
	unresolved := map[*ast.Ident]bool{}
	for _, name := range tree.Unresolved {
		unresolved[name] = true
	}
	ast.Inspect(tree, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if name, ok := selector.X.(*ast.Ident); ok && unresolved[name] {
				used[name.Name] = true
			}
		}
		return true
	})
	return used
}

// undeclared removes from used what the other files of a file's package declare.
func undeclared(used map[string]bool, file string) error {
	others, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*.go"))
	if err != nil {
		return err
	}
	for _, other := range others {
		tree, err := parser.ParseFile(token.NewFileSet(), other, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declaration := range tree.Decls {
			for _, name := range names(declaration) {
				delete(used, name)
			}
		}
	}
	return nil
}

// choose returns the package of a name: one of the standard library, or else that with
// the shortest path.
func choose(name string, named map[string]string) (path string, err error) {
	for candidate, of := range named {
		if of != name {
			continue
		}
		standard := !strings.Contains(candidate, ".")
		better := path == "" || standard && strings.Contains(path, ".") ||
			standard == !strings.Contains(path, ".") && (len(candidate) < len(path) || len(candidate) == len(path) && candidate < path)
		if better {
			path = candidate
		}
	}
	if path == "" {
		return "", fmt.Errorf("%s is not imported, and no package that the module knows has this name: add the import to the block", name)
	}
	return path, nil
}
