package keep

import (
	"go/ast"
	"os"
	"os/exec"
	"strings"
)

// methods returns the methods that a type has for one that embeds it, as far as
// its source can be found; known is false if there may be more.
func (m *Module) methods(file *goFile, in *folder, expr ast.Expr, depth int) (all map[string]bool, known bool) {
	if depth > 8 {
		return nil, false
	}
	switch expr := expr.(type) {
	case *ast.StarExpr:
		return m.methods(file, in, expr.X, depth)
	case *ast.IndexExpr:
		return m.methods(file, in, expr.X, depth)
	case *ast.IndexListExpr:
		return m.methods(file, in, expr.X, depth)
	case *ast.Ident:
		return m.methodsOf(in, expr.Name, depth)
	case *ast.SelectorExpr:
		name, ok := expr.X.(*ast.Ident)
		if !ok {
			return nil, false
		}
		there := m.folderOf(file.imports[name.Name])
		if there == nil {
			return nil, false
		}
		return m.methodsOf(there, expr.Sel.Name, depth)
	}
	return nil, false
}

// methodsOf returns the methods of a type that a package declares.
func (m *Module) methodsOf(in *folder, name string, depth int) (all map[string]bool, known bool) {
	all = map[string]bool{}
	if in.err != nil {
		return all, false
	}
	found := false
	known = true
	for _, file := range in.files {
		for _, decl := range file.syntax.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if !file.test && receiverType(decl) == name {
					all[decl.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					if spec, ok := spec.(*ast.TypeSpec); ok && !file.test && spec.Name.Name == name {
						found = true
						known = m.methodsIn(file, in, spec, all, depth) && known
					}
				}
			}
		}
	}
	return all, known && found
}

// methodsIn adds the methods that a type has from what it is declared as.
func (m *Module) methodsIn(file *goFile, in *folder, spec *ast.TypeSpec, all map[string]bool, depth int) (known bool) {
	var from []ast.Expr
	switch kind := spec.Type.(type) {
	case *ast.StructType:
		for _, field := range kind.Fields.List {
			if len(field.Names) == 0 {
				from = append(from, field.Type)
			}
		}
	case *ast.InterfaceType:
		for _, method := range kind.Methods.List {
			for _, name := range method.Names {
				all[name.Name] = true
			}
			if len(method.Names) == 0 {
				from = append(from, method.Type)
			}
		}
	default:
		if spec.Assign.IsValid() {
			from = append(from, kind)
		}
	}
	known = true
	for _, expr := range from {
		if ident, ok := expr.(*ast.Ident); ok && predeclared[ident.Name] {
			continue
		}
		more, sure := m.methods(file, in, expr, depth+1)
		for name := range more {
			all[name] = true
		}
		known = known && sure
	}
	return known
}

// folderOf returns the source of a package, wherever the Go command has it on
// this machine, or nil. It is called only if code of yours embeds a type of that
// package and an RPC is new.
func (m *Module) folderOf(importPath string) *folder {
	if importPath == "" {
		return nil
	}
	if dir, found := strings.CutPrefix(importPath, m.path+"/"); found {
		return m.folder(dir)
	}
	command := exec.Command("go", "list", "-find", "-f", "{{.Dir}}", importPath)
	command.Dir = m.root
	command.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=readonly")
	output, err := command.Output()
	dir := strings.TrimSpace(string(output))
	if err != nil || dir == "" {
		return nil
	}
	elsewhere := At(dir, importPath, false)
	there := elsewhere.folder(".")
	if len(there.files) == 0 {
		return nil
	}
	return there
}
