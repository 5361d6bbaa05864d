package keep

import (
	"cmp"
	"go/ast"
	"go/types"
	"slices"
	"strconv"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// joined is the code of a service as it is in its folder.
type joined struct {
	*folder
	service *model.Service
	impl    *implementation // nil if there is none
	// renamedFrom is the folder of the code if the service had another full name
	// when that was written; "" otherwise.
	renamedFrom string
	selectors   map[string]bool // see [joined.selected]
}

// join finds the implementation of a service in a folder.
func join(in *folder, service *model.Service) *joined {
	j := &joined{folder: in, service: service}
	j.impl = j.implementation()
	return j
}

// code returns what things are called there, or what our templates call them if
// there is no implementation.
func (j *joined) code() model.Code {
	code := model.CodeOfTemplates(j.service)
	code.Package = cmp.Or(j.name, code.Package)
	if j.impl == nil {
		return code
	}
	code.Type = j.impl.generic()
	code.Self, code.Pointer = j.impl.receiver(code.Self)
	code.Field = j.impl.field("*" + j.service.Package.Events.Path + ".Log")
	code.New, code.Made, code.TakesLog = j.constructor()
	code.Consumes = j.consumes()
	if !j.names()[model.ConsumerName] {
		code.Consumer = strconv.Quote(j.service.FullName)
	}
	for _, rpc := range j.service.Methods {
		if _, ok := j.impl.methods[rpc.Name]; ok {
			code.Written = append(code.Written, rpc.Name)
		}
	}
	return code
}

// implementation is the type that implements a service.
type implementation struct {
	name    string
	file    *goFile
	spec    *ast.TypeSpec
	methods map[string]method // by name, those of tests aside
}

// method is a method of an implementation.
type method struct {
	file *goFile
	decl *ast.FuncDecl
}

// implementation returns the type for which most speaks, or nil if nothing does
// for any.
func (j *joined) implementation() *implementation {
	var best *implementation
	most := 0
	for _, file := range j.files {
		if file.test {
			continue
		}
		for _, decl := range file.syntax.Decls {
			types, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range types.Specs {
				spec, ok := spec.(*ast.TypeSpec)
				if !ok || spec.Assign.IsValid() || isInterface(spec.Type) {
					continue
				}
				impl := j.methodsOf(spec, file)
				if points := j.score(impl); points > most {
					best, most = impl, points
				}
			}
		}
	}
	return best
}

func isInterface(expr ast.Expr) bool {
	_, is := expr.(*ast.InterfaceType)
	return is
}

func (j *joined) methodsOf(spec *ast.TypeSpec, in *goFile) *implementation {
	impl := &implementation{name: spec.Name.Name, file: in, spec: spec, methods: map[string]method{}}
	for _, file := range j.files {
		for _, decl := range file.syntax.Decls {
			if function, ok := decl.(*ast.FuncDecl); ok && !file.test && receiverType(function) == impl.name {
				impl.methods[function.Name.Name] = method{file, function}
			}
		}
	}
	return impl
}

// receiverType returns the name of the type that a method belongs to, or "".
func receiverType(function *ast.FuncDecl) string {
	if function.Recv == nil || len(function.Recv.List) != 1 {
		return ""
	}
	expr := function.Recv.List[0].Type
	for {
		switch inner := expr.(type) {
		case *ast.ParenExpr:
			expr = inner.X
		case *ast.StarExpr:
			expr = inner.X
		case *ast.IndexExpr:
			expr = inner.X
		case *ast.IndexListExpr:
			expr = inner.X
		case *ast.Ident:
			return inner.Name
		default:
			return ""
		}
	}
}

// score returns how much speaks for a type to be the implementation: that it embeds
// what every implementation embeds, its name, and the RPCs that it has.
func (j *joined) score(impl *implementation) (points int) {
	for _, embedded := range impl.embedded() {
		if j.isStub(impl.file, embedded) {
			points += 1000
		}
	}
	for _, rpc := range j.service.Methods {
		if method, found := impl.methods[rpc.Name]; found {
			if text, certain := method.file.signature(method.decl.Type); slices.Contains(rpc.Signature(), text) || !certain {
				points += 10
			}
		}
	}
	if impl.name == "Service" {
		points += 5
	}
	return points
}

// isStub reports whether a type is what protoc-gen-go-grpc makes for
// implementations of the service to embed.
func (j *joined) isStub(file *goFile, expr ast.Expr) bool {
	text, certain := file.spell(expr)
	for _, prefix := range []string{"Unimplemented", "Unsafe"} {
		name := "." + prefix + j.service.Name + "Server"
		if text == j.service.Package.Messages.Path+name || !certain && strings.HasSuffix(text, name) {
			return true
		}
	}
	return false
}

// embedded returns the types that the implementation embeds.
func (i *implementation) embedded() (types []ast.Expr) {
	structure, ok := i.spec.Type.(*ast.StructType)
	if !ok {
		return nil
	}
	for _, field := range structure.Fields.List {
		if len(field.Names) == 0 {
			types = append(types, field.Type)
		}
	}
	return types
}

// fields returns the names of the implementation's fields, and their types.
func (i *implementation) fields() (names []string, types []ast.Expr) {
	structure, ok := i.spec.Type.(*ast.StructType)
	if !ok {
		return nil, nil
	}
	for _, field := range structure.Fields.List {
		if len(field.Names) == 0 {
			names, types = append(names, embeddedName(field.Type)), append(types, field.Type)
		}
		for _, name := range field.Names {
			names, types = append(names, name.Name), append(types, field.Type)
		}
	}
	return names, types
}

// embeds reports whether the implementation embeds a type of a name, whatever its
// package.
func (i *implementation) embeds(name string) bool {
	return slices.ContainsFunc(i.embedded(), func(expr ast.Expr) bool { return embeddedName(expr) == name })
}

func embeddedName(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.StarExpr:
		return embeddedName(expr.X)
	case *ast.IndexExpr:
		return embeddedName(expr.X)
	case *ast.IndexListExpr:
		return embeddedName(expr.X)
	case *ast.SelectorExpr:
		return expr.Sel.Name
	case *ast.Ident:
		return expr.Name
	}
	return ""
}

// field returns the name of the first field of a type, or "".
func (i *implementation) field(want string) string {
	names, types := i.fields()
	for n, expr := range types {
		if text, _ := i.file.spell(expr); text == want && names[n] != "_" {
			return names[n]
		}
	}
	return ""
}

// inSkeletons are names that our skeletons have for other things, besides those
// that Go declares.
var inSkeletons = []string{"_", "codes", "context", "ctx", "err", "errors", "event", "eventid", "fmt", "from", "io", "receipts", "request",
	"server", "since", "slog", "status", "stop", "stored", "stream"}

// receiver returns the name that most methods of the implementation have for
// it, and whether any has a pointer to it.
func (i *implementation) receiver(usual string) (self string, pointer bool) {
	count := map[string]int{}
	pointer = len(i.methods) == 0
	for _, method := range i.methods {
		receiver := method.decl.Recv.List[0]
		if _, ok := receiver.Type.(*ast.StarExpr); ok {
			pointer = true
		}
		for _, name := range receiver.Names {
			count[name.Name]++
		}
	}
	self = usual
	for name, n := range count {
		if !slices.Contains(inSkeletons, name) && types.Universe.Lookup(name) == nil && (n > count[self] || n == count[self] && name < self) {
			self = name
		}
	}
	return self, pointer
}

// generic returns the name of the implementation with its type parameters.
func (i *implementation) generic() string {
	if i.spec.TypeParams == nil {
		return i.name
	}
	var names []string
	for _, field := range i.spec.TypeParams.List {
		for _, name := range field.Names {
			names = append(names, name.Name)
		}
	}
	return i.name + "[" + strings.Join(names, ", ") + "]"
}

// constructor returns the name of the function that makes the implementation, and
// nothing else, from the log or without arguments: New before others. It is "" if
// main could not call any, on every system that it may be built for. made is what it
// returns, "" for the interface.
func (j *joined) constructor() (name, made string, takesLog bool) {
	results := []string{j.impl.name, "*" + j.impl.name, j.server()}
	for _, file := range j.files {
		if file.test || file.tagged {
			continue
		}
		for _, decl := range file.syntax.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok || function.Recv != nil || function.Type.TypeParams != nil || !ast.IsExported(function.Name.Name) {
				continue
			}
			in, _ := file.spellList(required(function.Type.Params))
			out, _ := file.spellList(function.Type.Results)
			log := len(in) == 1 && in[0] == "*"+j.service.Package.Events.Path+".Log" && j.service.UsesEvents()
			if len(out) != 1 || !slices.Contains(results, out[0]) || len(in) > 0 && !log {
				continue
			}
			if name == "" || function.Name.Name == "New" {
				name, made, takesLog = function.Name.Name, out[0], log
			}
		}
	}
	if made == j.server() {
		made = ""
	}
	return name, made, takesLog
}

// required returns parameters without a variadic one, for which a call need have
// nothing.
func required(parameters *ast.FieldList) *ast.FieldList {
	n := len(parameters.List)
	if n == 0 {
		return parameters
	}
	if _, variadic := parameters.List[n-1].Type.(*ast.Ellipsis); !variadic {
		return parameters
	}
	return &ast.FieldList{List: parameters.List[:n-1]}
}

// server returns the interface that the implementation needs, with the import path
// of its package.
func (j *joined) server() string {
	return j.service.Package.Messages.Path + "." + j.service.Name + "Server"
}

// consumes reports whether the implementation has the method that handles
// stored events.
func (j *joined) consumes() bool {
	has, found := j.impl.methods[j.service.ConsumeName()]
	if !found || has.file.tagged || j.names()["error"] {
		return false
	}
	text, _ := has.file.signature(has.decl.Type)
	return text == "(context.Context) error"
}

// inTests returns the file of tests that declares a method of the implementation,
// or nil.
func (j *joined) inTests(name string) *goFile {
	for _, file := range j.files {
		for _, decl := range file.syntax.Decls {
			if function, ok := decl.(*ast.FuncDecl); ok && file.test && receiverType(function) == j.impl.name && function.Name.Name == name {
				return file
			}
		}
	}
	return nil
}

// serves reports whether the tests have the function serve that our tests, fuzz tests and
// benchmarks call.
func (j *joined) serves() bool {
	pkg := j.service.Package
	want := []string{pkg.Messages.Path + "." + j.service.Name + "Client"}
	if j.service.UsesEvents() {
		want = append(want, "*"+pkg.Events.Path+".Log")
	}
	file, serve := j.function("serve")
	if serve == nil {
		return false
	}
	in, _ := file.spellList(serve.Type.Params)
	out, _ := file.spellList(serve.Type.Results)
	return slices.Equal(in, []string{"testing.TB"}) && slices.Equal(out, want)
}

// function returns a function of the tests.
func (j *joined) function(name string) (*goFile, *ast.FuncDecl) {
	for _, file := range j.files {
		for _, decl := range file.syntax.Decls {
			if function, ok := decl.(*ast.FuncDecl); ok && file.test && function.Recv == nil && function.Name.Name == name {
				return file, function
			}
		}
	}
	return nil, nil
}

// calls reports whether a file calls a function of its package.
func (f *goFile) calls(name string) (does bool) {
	ast.Inspect(f.syntax, func(node ast.Node) bool {
		if call, ok := node.(*ast.CallExpr); ok {
			function, ok := call.Fun.(*ast.Ident)
			does = does || ok && function.Name == name
		}
		return true
	})
	return does
}

// builds reports whether the tests have the function newService that our tests
// call, and it returns the implementation. (The interface has only the RPCs.)
func (j *joined) builds() bool {
	file, function := j.function("newService")
	if function == nil || j.impl == nil || len(j.staleTests()) > 0 {
		return false
	}
	out, _ := file.spellList(function.Type.Results)
	return slices.Equal(out, []string{"*" + j.impl.name}) || slices.Equal(out, []string{j.impl.name})
}
