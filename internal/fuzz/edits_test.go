package fuzz

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
)

// edit is something that people do to their code. Its do returns what it did, or "" if
// there is nothing to do it to. The result need not be valid Go.
type edit struct {
	name string
	do   func(e *evolution, d *dice) string
}

// Names that people give to things. Many of them occur in skeletons, too.
var (
	receiverWords = []string{"svc", "ctx", "event", "request", "stream", "err", "context", "codes", "status", "io", "errors", "eventid", "server",
		"receipts", "stored", "stop", "log", "this", "events", "shoppb", "pb", "shopevents", "pbevents", "fmt", "self", "len", "int64", "nil", "string"}
	fieldWords       = []string{"log", "store", "Log", "db", "Take", "Find", "status", "context", "Ship"}
	typeWords        = []string{"Service", "Impl", "Orders", "server", "context", "Take", "status", "Log", "New"}
	constructorWords = []string{"New", "NewService", "Make", "NewOrders", "Service", "Take"}
	helperWords      = []string{"context", "codes", "status", "fmt", "io", "errors", "eventid", "server", "servertest", "testing", "proto", "shoppb", "shopevents",
		"shoptest", "shopserver", "pb", "pbevents", "events", "log", "serve", "newService", "Take", "Find", "Ship", "Count", "TestTake", "TestFind", "TestShip", "TestContract",
		"helper", "New", "Service", "client", "commands", "ordersCommands", "stockCommands", "command", "os", "eventlog", "operate", "flag", "run", "len", "error",
		"string", "nil", "int64", "uint32", "new", "orders", "stock", "shopclient"}
	packageWords = []string{"orders", "selling", "stock", "context", "status", "main2", "testing", "shoppb", "servertest"}
	fileWords    = []string{"helper.go", "take.go", "find.go", "ship.go", "count.go", "take_test.go", "find_test.go", "ship_test.go", "aux_linux.go", "aux_windows.go",
		"doc.go", "service2.go", "init.go", "zz.go"}
)

// startOver generates the folders of yours again that have a wrong file.
var startOver = edit{"start over where it is wrong", (*evolution).startOver}

var edits = []edit{
	{"write in a body", func(e *evolution, d *dice) string {
		return e.editFunction(d, func(s *goSource, function *ast.FuncDecl) bool {
			if function.Body == nil {
				return false
			}
			s.insert(function.Body.Lbrace+1, "\n\t_ = \"mine\"")
			return true
		})
	}},
	{"rename receivers", (*evolution).renameReceivers},
	{"rename a field", (*evolution).renameField},
	{"rename a type", (*evolution).renameType},
	{"rename a constructor", (*evolution).renameConstructor},
	{"give a constructor an argument", (*evolution).addArgument},
	{"use value receivers", (*evolution).valueReceivers},
	{"make the type generic", (*evolution).makeGeneric},
	{"move a method", (*evolution).moveMethod},
	{"delete a method", func(e *evolution, d *dice) string {
		at, _, _ := e.cutMethod(d)
		return at
	}},
	{"delete a file", func(e *evolution, d *dice) string { return e.deleteFile(d) }},
	{"delete another file", func(e *evolution, d *dice) string { return e.deleteFile(d) }},
	{"add a file", (*evolution).addHelper},
	{"add another file", (*evolution).addHelper},
	{"embed a type", (*evolution).embed},
	{"add a field", (*evolution).addField},
	{"add a build tag", func(e *evolution, d *dice) string {
		tag := pick(d, "linux", "!windows", "never", "linux || never")
		return e.rewriteFile(d, func(text string) string { return "//go:build " + tag + "\n\n" + text })
	}},
	{"write CRLF", func(e *evolution, d *dice) string {
		return e.rewriteFile(d, func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") })
	}},
	{"write a byte order mark", func(e *evolution, d *dice) string {
		return e.rewriteFile(d, func(text string) string { return "\ufeff" + strings.TrimPrefix(text, "\ufeff") })
	}},
	{"leave out the last newline", func(e *evolution, d *dice) string {
		return e.rewriteFile(d, func(text string) string { return strings.TrimRight(text, "\n") })
	}},
	{"format differently", func(e *evolution, d *dice) string {
		return e.rewriteFile(d, func(text string) string { return strings.ReplaceAll(text, "\n\t", "\n  ") })
	}},
	{"rename the package", (*evolution).renamePackage},
	{"take a file over", (*evolution).takeOver},
	{"scribble in a file of ours", func(e *evolution, d *dice) string {
		at := e.ours(d)
		if at != "" {
			if _, ok := e.scribbled[at]; !ok {
				e.scribbled[at] = e.tree[at]
			}
			e.put(at, e.tree[at]+pick(d, "\n// mine\n", "\n<<<<<<< HEAD\n", "\nfunc init() { mine() }\n"))
		}
		return at
	}},
	{"write a test", (*evolution).addTest},
	{"write a test in a _test package", (*evolution).addOutsideTest},
	{"write a method", (*evolution).writeMethod},
	{"write an RPC before it is declared", (*evolution).writeAhead},
	{"rename what tests call", (*evolution).renameServe},
	{"have newService return the interface", (*evolution).returnInterface},
	{"leave a conflict", func(e *evolution, d *dice) string {
		at := e.file(d)
		if at == "" || !d.once(3) {
			return ""
		}
		if _, ok := e.broken[at]; !ok {
			e.broken[at] = e.tree[at]
			e.put(at, e.tree[at]+"\n<<<<<<< HEAD\n")
		}
		return at
	}},
}

// file returns a file of yours, or "" if there is none.
func (e *evolution) file(d *dice) string {
	if len(e.yours) == 0 {
		return ""
	}
	return pick(d, sorted(e.yours)...)
}

// ours returns a file of ours, or "" if there is none.
func (e *evolution) ours(d *dice) string {
	var all []string
	for _, at := range sorted(e.tree) {
		if !e.yours[at] && !strings.HasSuffix(at, ".pb.go") {
			all = append(all, at)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return pick(d, all...)
}

// folder returns a folder with an implementation, or "" if there is none.
func (e *evolution) folder(d *dice) string {
	var all []string
	for _, at := range sorted(e.yours) {
		if dir := path.Dir(at); strings.HasPrefix(at, "internal/") && !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return pick(d, all...)
}

// in returns the files of yours in a folder that can be parsed.
func (e *evolution) in(dir string) (all []string) {
	for _, at := range sorted(e.yours) {
		if path.Dir(at) == dir && e.open(at) != nil {
			all = append(all, at)
		}
	}
	return all
}

func (e *evolution) rewriteFile(d *dice, by func(string) string) string {
	at := e.file(d)
	if at != "" {
		e.put(at, by(e.tree[at]))
	}
	return at
}

func (e *evolution) deleteFile(d *dice) string {
	at := e.file(d)
	if at != "" {
		e.drop(at)
		delete(e.broken, at)
		e.deleted[at] = true
	}
	return at
}

// startOver deletes the folders of yours that have errors, and makes the next run bring
// back deleted files.
func (e *evolution) startOver(*dice) string {
	for _, dir := range e.wrongIn {
		for _, at := range sorted(e.yours) {
			if path.Dir(at) == dir {
				e.drop(at)
			}
		}
	}
	e.wantsAll = len(e.wrongIn) > 0
	return strings.Join(e.wrongIn, ", ")
}

// editFunction changes a function of yours.
func (e *evolution) editFunction(d *dice, by func(*goSource, *ast.FuncDecl) bool) string {
	dir := e.folder(d)
	for _, at := range e.in(dir) {
		s := e.open(at)
		if functions := s.functions(); len(functions) > 0 && d.once(2) {
			if function := pick(d, functions...); by(s, function) {
				e.put(at, s.String())
				return at + ": " + function.Name.Name
			}
		}
	}
	return ""
}

// everywhere changes the files of a folder, and returns how many it changed.
func (e *evolution) everywhere(dir string, by func(*goSource)) (count int) {
	for _, at := range e.in(dir) {
		s := e.open(at)
		if by(s); len(s.changes) > 0 {
			e.put(at, s.String())
			count++
		}
	}
	return count
}

// declared returns the names that the files of a folder declare or import, and its
// methods with a dot before their names.
func (e *evolution) declared(dir string) map[string]bool {
	all := map[string]bool{}
	for at := range e.tree {
		if path.Dir(at) != dir {
			continue
		}
		s := e.open(at)
		if s == nil {
			continue
		}
		for name := range s.importLines() {
			all[name] = true
		}
		for _, decl := range s.syntax.Decls {
			if function, ok := decl.(*ast.FuncDecl); ok {
				all[map[bool]string{true: "."}[function.Recv != nil]+function.Name.Name] = true
				continue
			}
			for _, spec := range decl.(*ast.GenDecl).Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					all[spec.Name.Name] = true
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						all[name.Name] = true
					}
				}
			}
		}
	}
	return all
}

// implementation returns the type in a folder with the most methods, or "".
func (e *evolution) implementation(dir string) string {
	count := map[string]int{}
	for _, at := range e.in(dir) {
		for _, function := range e.open(at).functions() {
			if _, of := receiver(function); of != nil {
				count[of.Name]++
			}
		}
	}
	best := ""
	for _, name := range sorted(count) {
		if count[name] > count[best] {
			best = name
		}
	}
	if best == "" && e.declared(dir)["Service"] {
		return "Service"
	}
	return best
}

func (e *evolution) renameReceivers(d *dice) string {
	dir, to := e.folder(d), pick(d, receiverWords...)
	count := e.everywhere(dir, func(s *goSource) {
		for _, function := range s.functions() {
			name, _ := receiver(function)
			if name == nil || function.Body == nil || mentions(function.Body, to) || mentions(function.Type, to) {
				continue
			}
			s.replace(name, to)
			for _, ident := range idents(function.Body) {
				if ident.Name == name.Name {
					s.replace(ident, to)
				}
			}
		}
	})
	return fmt.Sprintf("%s to %s in %d files", dir, to, count)
}

func (e *evolution) renameField(d *dice) string {
	dir, to := e.folder(d), pick(d, fieldWords...)
	if e.declared(dir)["."+to] {
		return ""
	}
	count := e.everywhere(dir, func(s *goSource) {
		ast.Inspect(s.syntax, func(node ast.Node) bool {
			if field, ok := node.(*ast.Field); ok && len(field.Names) == 1 && strings.HasSuffix(s.of(field.Type), ".Log") && strings.Contains(s.of(field), "events ") {
				if structure := field.Names[0]; structure.Name == "events" && inStruct(s.syntax, field) {
					s.replace(structure, to)
				}
			}
			return true
		})
		for _, ident := range selected(s.syntax) {
			if ident.Name == "events" {
				s.replace(ident, to)
			}
		}
	})
	return fmt.Sprintf("events of %s to %s in %d files", dir, to, count)
}

// inStruct reports whether a field belongs to a struct, not to a function.
func inStruct(file *ast.File, field *ast.Field) (found bool) {
	ast.Inspect(file, func(node ast.Node) bool {
		if structure, ok := node.(*ast.StructType); ok {
			found = found || slices.Contains(structure.Fields.List, field)
		}
		return true
	})
	return found
}

func (e *evolution) renameType(d *dice) string {
	dir, to := e.folder(d), pick(d, typeWords...)
	from := e.implementation(dir)
	if from == "" || e.declared(dir)[to] {
		return ""
	}
	return fmt.Sprintf("%s of %s to %s in %d files", from, dir, to, e.renameInPackage(dir, from, to))
}

func (e *evolution) renameInPackage(dir, from, to string) int {
	return e.everywhere(dir, func(s *goSource) {
		for _, ident := range idents(s.syntax) {
			if ident.Name == from {
				s.replace(ident, to)
			}
		}
	})
}

// mains changes what the mains use of a package.
func (e *evolution) mains(dir string, by func(*goSource, *ast.SelectorExpr)) {
	importPath := evolved + "/" + dir
	for _, at := range sorted(e.yours) {
		s := e.open(at)
		if !strings.HasPrefix(at, "cmd/") || s == nil {
			continue
		}
		for name, line := range s.importLines() {
			if !strings.HasSuffix(line, `"`+importPath+`"`) {
				continue
			}
			ast.Inspect(s.syntax, func(node ast.Node) bool {
				if call, ok := node.(*ast.SelectorExpr); ok {
					if x, ok := call.X.(*ast.Ident); ok && x.Name == name {
						by(s, call)
					}
				}
				return true
			})
		}
		if len(s.changes) > 0 {
			e.put(at, s.String())
		}
	}
}

func (e *evolution) renameConstructor(d *dice) string {
	dir, to := e.folder(d), pick(d, constructorWords...)
	all := e.declared(dir)
	from := ""
	for _, name := range constructorWords {
		if all[name] && from == "" && name != e.implementation(dir) {
			from = name
		}
	}
	if from == "" || all[to] {
		return ""
	}
	count := e.renameInPackage(dir, from, to)
	e.mains(dir, func(s *goSource, call *ast.SelectorExpr) {
		if call.Sel.Name == from {
			s.replace(call.Sel, to)
		}
	})
	return fmt.Sprintf("%s of %s to %s in %d files", from, dir, to, count)
}

// addArgument adds a number to the parameters of New.
func (e *evolution) addArgument(d *dice) string {
	dir := e.folder(d)
	argument := func(s *goSource, call *ast.CallExpr) {
		text := "0"
		if len(call.Args) > 0 {
			text = ", 0"
		}
		s.insert(call.Rparen, text)
	}
	count := e.everywhere(dir, func(s *goSource) {
		for _, function := range s.functions() {
			if function.Name.Name == "New" && function.Recv == nil {
				text := "_ int"
				if function.Type.Params.NumFields() > 0 {
					text = ", _ int"
				}
				s.insert(function.Type.Params.Closing, text)
			}
		}
		ast.Inspect(s.syntax, func(node ast.Node) bool {
			if call, ok := node.(*ast.CallExpr); ok {
				if name, ok := call.Fun.(*ast.Ident); ok && name.Name == "New" {
					argument(s, call)
				}
			}
			return true
		})
	})
	e.mains(dir, func(s *goSource, called *ast.SelectorExpr) {
		ast.Inspect(s.syntax, func(node ast.Node) bool {
			if call, ok := node.(*ast.CallExpr); ok && call.Fun == called && called.Sel.Name == "New" {
				argument(s, call)
			}
			return true
		})
	})
	return fmt.Sprintf("%s in %d files", dir, count)
}

func (e *evolution) valueReceivers(d *dice) string {
	dir := e.folder(d)
	count := e.everywhere(dir, func(s *goSource) {
		for _, function := range s.functions() {
			if function.Recv == nil || len(function.Recv.List) != 1 {
				continue
			}
			if pointer, ok := function.Recv.List[0].Type.(*ast.StarExpr); ok {
				s.replace(pointer, s.of(pointer.X))
			}
		}
	})
	return fmt.Sprintf("%s in %d files", dir, count)
}

// makeGeneric gives the implementation a type parameter.
func (e *evolution) makeGeneric(d *dice) string {
	dir := e.folder(d)
	name := e.implementation(dir)
	if name == "" || !e.declared(dir)["New"] || slices.ContainsFunc(e.in(dir), func(at string) bool { return strings.Contains(e.tree[at], name+"[") }) {
		return ""
	}
	count := e.everywhere(dir, func(s *goSource) {
		declared := map[*ast.Ident]bool{}
		for _, decl := range s.syntax.Decls {
			argument := "[int]"
			switch decl := decl.(type) {
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					if spec, ok := spec.(*ast.TypeSpec); ok && spec.Name.Name == name {
						declared[spec.Name] = true
						s.insert(spec.Name.End(), "[T any]")
					}
				}
			case *ast.FuncDecl:
				if decl.Recv != nil {
					argument = "[T]"
				} else if decl.Name.Name == "New" {
					argument = "[T]"
					declared[decl.Name] = true
					s.insert(decl.Name.End(), "[T any]")
				}
			}
			for _, ident := range idents(decl) {
				if (ident.Name == name || ident.Name == "New") && !declared[ident] {
					s.insert(ident.End(), argument)
				}
			}
		}
	})
	e.mains(dir, func(s *goSource, call *ast.SelectorExpr) {
		if call.Sel.Name == "New" {
			s.insert(call.Sel.End(), "[int]")
		}
	})
	return fmt.Sprintf("%s of %s in %d files", name, dir, count)
}

// cutMethod removes a method from a file, and returns it with the imports of the file.
func (e *evolution) cutMethod(d *dice) (at, declaration string, imports map[string]string) {
	dir := e.folder(d)
	for _, at := range e.in(dir) {
		s := e.open(at)
		for _, function := range s.functions() {
			if function.Recv != nil && d.once(2) {
				declaration = s.cut(function)
				e.put(at, withImports(s.String(), nil))
				return at, declaration, s.importLines()
			}
		}
	}
	return "", "", nil
}

func (e *evolution) moveMethod(d *dice) string {
	from, declaration, imports := e.cutMethod(d)
	if from == "" {
		return ""
	}
	dir := path.Dir(from)
	to := dir + "/" + pick(d, fileWords...)
	if e.tree[to] == "" {
		e.put(to, "package "+e.open(from).syntax.Name.Name+"\n")
		e.yours[to] = true
	}
	e.put(to, withImports(e.tree[to]+"\n\n"+declaration+"\n", imports))
	return from + " to " + to
}

// free returns an unused path in a folder, or "".
func (e *evolution) free(d *dice, dir string) string {
	at := path.Join(dir, pick(d, fileWords...))
	if _, ok := e.tree[at]; ok || dir == "" {
		return ""
	}
	return at
}

func (e *evolution) add(at, text string) {
	e.put(at, text)
	e.yours[at] = true
}

// packageOf returns the package clause of a folder.
func (e *evolution) packageOf(dir string) string {
	for _, at := range sorted(e.tree) {
		if path.Dir(at) == dir && !strings.HasSuffix(at, "_test.go") {
			if s := e.open(at); s != nil {
				return "package " + s.syntax.Name.Name + "\n\n"
			}
		}
	}
	return "package " + strings.ReplaceAll(path.Base(dir), "-", "_") + "\n\n"
}

func (e *evolution) addHelper(d *dice) string {
	dir := e.folder(d)
	if d.once(5) {
		if at := e.file(d); at != "" {
			dir = path.Dir(at)
		}
	}
	at := e.free(d, dir)
	if at == "" {
		return ""
	}
	names, text := e.declared(dir), e.packageOf(dir)
	var did []string
	for range 1 + d.below(3) {
		name := pick(d, helperWords...)
		if names[name] {
			continue
		}
		names[name] = true
		declaration := fmt.Sprintf(pick(d, "var %s = 1", "const %s = \"x\"", "type %s struct{}", "func %s() {}", "type %s = int"), name)
		switch typed := "method" + fmt.Sprint(len(names)); {
		case strings.HasPrefix(name, "Test") && strings.HasSuffix(at, "_test.go"):
			declaration = "func " + name + "(t *testing.T) { t.Log() }"
		case d.once(6):
			declaration = fmt.Sprintf("type %s struct{}\n\nfunc (%s) %s() {}", typed, typed, name)
		}
		did = append(did, declaration)
		text += declaration + "\n\n"
	}
	e.add(at, withImports(text, map[string]string{"testing": `"testing"`}))
	return at + ": " + strings.Join(did, "; ")
}

// structure returns the struct of a folder's implementation.
func (e *evolution) structure(dir string) (at string, s *goSource, found *ast.StructType) {
	name := e.implementation(dir)
	for _, at := range e.in(dir) {
		s := e.open(at)
		for _, decl := range s.syntax.Decls {
			types, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range types.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok && spec.Name.Name == name {
					if found, ok := spec.Type.(*ast.StructType); ok {
						return at, s, found
					}
				}
			}
		}
	}
	return "", nil, nil
}

func (e *evolution) embed(d *dice) string {
	dir := e.folder(d)
	at, s, structure := e.structure(dir)
	if structure == nil {
		return ""
	}
	names := e.declared(dir)
	helper, name := "", "base"
	for i := 2; names[name]; i++ {
		name = fmt.Sprint("base", i)
	}
	switch method := goCamel(pick(d, rpcWords...)); d.below(6) {
	default:
		helper = fmt.Sprintf("type %s struct{}\n\nfunc (%s) %s() {}\n", name, name, method)
	case 2:
		helper = fmt.Sprintf("type %s interface{ %s() }\n", name, method)
	case 3:
		helper, name = fmt.Sprintf("type %s struct{}\n\nfunc (*%s) %s() {}\n", name, name, method), "*"+name
	case 4:
		helper = fmt.Sprintf("type %s struct{ sync.Mutex }\n", name)
	case 5:
		if names["sync"] {
			return ""
		}
		name = "sync.Mutex"
	}
	if slices.ContainsFunc(structure.Fields.List, func(f *ast.Field) bool { return s.of(f.Type) == name }) {
		return ""
	}
	s.insert(structure.Fields.Closing, "\t"+name+"\n")
	e.put(at, withImports(s.String()+"\n"+helper, map[string]string{"sync": `"sync"`}))
	return fmt.Sprintf("%s: %s; %s", at, name, helper)
}

func (e *evolution) addField(d *dice) string {
	dir, name := e.folder(d), pick(d, fieldWords...)
	at, s, structure := e.structure(dir)
	if structure == nil || e.declared(dir)["."+name] {
		return ""
	}
	for _, field := range structure.Fields.List {
		if mentions(field, name) || strings.HasSuffix(s.of(field.Type), "."+name) {
			return ""
		}
	}
	kind := pick(d, "int", "func()", "map[string]int", "struct{ x int }")
	s.insert(structure.Fields.Closing, "\t"+name+" "+kind+"\n")
	e.put(at, s.String())
	return fmt.Sprintf("%s: %s %s", at, name, kind)
}

func (e *evolution) renamePackage(d *dice) string {
	dir, to := e.folder(d), pick(d, packageWords...)
	if dir == "" || e.declared(dir)[to] {
		return ""
	}
	for _, at := range e.in(dir) {
		s := e.open(at)
		clause := to
		if strings.HasSuffix(s.syntax.Name.Name, "_test") {
			clause += "_test"
		}
		s.replace(s.syntax.Name, clause)
		e.put(at, s.String())
	}
	importPath := evolved + "/" + dir
	for _, at := range sorted(e.yours) {
		s := e.open(at)
		if s == nil {
			continue
		}
		for name, line := range s.importLines() {
			for _, spec := range s.syntax.Imports {
				if s.of(spec) == line && strings.HasSuffix(line, `"`+importPath+`"`) && spec.Name == nil {
					s.insert(spec.Pos(), name+" ")
					e.put(at, s.String())
				}
			}
		}
	}
	return dir + " to " + to
}

func (e *evolution) takeOver(d *dice) string {
	at := e.ours(d)
	if at == "" || !strings.Contains(e.tree[at], keep.Marker) {
		return ""
	}
	_, text, _ := strings.Cut(e.tree[at], "\n")
	if _, before := e.scribbled[at]; !before {
		e.scribbled[at] = e.tree[at]
	}
	e.put(at, text)
	e.yours[at] = true
	return at
}

func (e *evolution) addTest(d *dice) string {
	dir := e.folder(d)
	name := "Test" + goCamel(pick(d, rpcWords...))
	at := path.Join(dir, pick(d, "own_test.go", "take_test.go", "ship_test.go", "more_test.go"))
	if _, ok := e.tree[at]; ok || dir == "" || e.declared(dir)[name] {
		return ""
	}
	body := ""
	if e.declared(dir)["serve"] {
		body = pick(d, "", " serve(t) ")
	}
	e.add(at, fmt.Sprintf("%simport \"testing\"\n\nfunc %s(t *testing.T) {%s}\n", e.packageOf(dir), name, body))
	return at + ": " + name
}

func (e *evolution) addOutsideTest(d *dice) string {
	dir := e.folder(d)
	at := path.Join(dir, pick(d, "outside_test.go", "find_test.go", "service_test.go"))
	if _, ok := e.tree[at]; ok || dir == "" {
		return ""
	}
	clause := strings.TrimSpace(e.packageOf(dir)) + "_test\n\n"
	e.add(at, fmt.Sprintf("%simport (\n\t\"testing\"\n\n\town %q\n)\n\nfunc Test%s(t *testing.T) { _ = own.New }\n", clause, evolved+"/"+dir, goCamel(pick(d, rpcWords...))))
	return at
}

// writeMethod writes a method of the implementation that may become an RPC later, or hide
// an existing one.
func (e *evolution) writeMethod(d *dice) string {
	dir, name := e.folder(d), goCamel(pick(d, rpcWords...))
	impl, at := e.implementation(dir), e.free(d, dir)
	if impl == "" || at == "" || e.declared(dir)["."+name] {
		return ""
	}
	text := fmt.Sprintf("func (own *%s) %s() int { return 1 }\n", e.withParameters(dir, impl), name)
	e.add(at, e.packageOf(dir)+text)
	return at + ": " + text
}

// withParameters returns the name of a type with its type parameters, if it has any.
func (e *evolution) withParameters(dir, name string) string {
	if slices.ContainsFunc(e.in(dir), func(at string) bool { return strings.Contains(e.tree[at], name+"[T any]") }) {
		return name + "[T]"
	}
	return name
}

// writeAhead writes the method of an RPC before the RPC is declared in the same round.
func (e *evolution) writeAhead(d *dice) string {
	file, service := e.protos.service(d)
	if service == nil {
		return ""
	}
	version := strings.ReplaceAll(file.pkg, ".", "/")
	dir := "internal/" + version + "/" + strings.ToLower(service.name)
	impl, at := e.implementation(dir), e.free(d, dir)
	importPath, _, _ := strings.Cut(file.goPackage, ";")
	rpc := &rpcType{name: service.fresh(d), in: pick(d, file.messages...), out: pick(d, file.messages...)}
	if impl == "" || at == "" || e.declared(dir)["."+goCamel(rpc.name)] || !token.IsIdentifier(goCamel(rpc.name)) {
		return ""
	}
	bare := func(m *messageType) string { return "own." + goCamel(m.full[strings.LastIndex(m.full, ".")+1:]) }
	text := fmt.Sprintf("import (\n\tstd \"context\"\n\n\town %q\n)\n\nfunc (mine *%s) %s(std.Context, *%s) (*%s, error) { return nil, nil }\n",
		importPath, e.withParameters(dir, impl), goCamel(rpc.name), bare(rpc.in), bare(rpc.out))
	e.add(at, e.packageOf(dir)+text)
	service.rpcs = append(service.rpcs, rpc)
	return at + ": " + text
}

// returnInterface has newService of the tests return the interface, as it did
// before it returned the implementation. The test of consuming goes, since the
// interface does not have the method that it calls.
func (e *evolution) returnInterface(d *dice) string {
	dir := e.folder(d)
	count := e.everywhere(dir, func(s *goSource) {
		var made, client ast.Expr
		for _, function := range s.functions() {
			if results := function.Type.Results; function.Recv == nil && results.NumFields() > 0 {
				switch function.Name.Name {
				case "newService":
					made = results.List[0].Type
				case "serve":
					client = results.List[0].Type
				}
			}
		}
		if made != nil && client != nil {
			s.replace(made, strings.TrimSuffix(s.of(client), "Client")+"Server")
		}
	})
	if at := dir + "/consume_test.go"; count > 0 && e.yours[at] {
		e.drop(at)
		delete(e.broken, at)
		e.deleted[at] = true
	}
	return fmt.Sprintf("%s in %d files", dir, count)
}

func (e *evolution) renameServe(d *dice) string {
	dir, from, to := e.folder(d), pick(d, "serve", "newService"), pick(d, "start", "newService", "serve", "boot")
	if all := e.declared(dir); !all[from] || all[to] {
		return ""
	}
	return fmt.Sprintf("%s of %s to %s in %d files", from, dir, to, e.renameInPackage(dir, from, to))
}
