package keep

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// field adds the step that gives the implementation a field for the log.
func (l *lead) field(j *joined) {
	e := l.edit(j.impl.file.at)
	if e == nil || e.replaced[j.impl.name] {
		return
	}
	ast.Inspect(e.syntax, func(node ast.Node) bool {
		spec, ok := node.(*ast.TypeSpec)
		if !ok || spec.Name.Name != j.impl.name {
			return true
		}
		structure, ok := spec.Type.(*ast.StructType)
		events := j.service.Package.Events
		if !ok {
			e.add(e.line(spec.Pos()), 0, j.impl.name+" needs a field for the event log, so it must be a struct", replaceLines,
				fmt.Sprintf("type %s struct {\n\t%s *%s.Log\n}", j.impl.name, j.newField(), e.nameFor(events)))
		} else if closing := e.line(structure.Fields.Closing); closing > e.line(structure.Fields.Opening) {
			e.add(closing, 0, j.impl.name+" needs a field for the event log", addAbove, fmt.Sprintf("\t%s *%s.Log", j.newField(), e.nameFor(events)))
		} else {
			head, _, _ := strings.Cut(e.source(spec), "{")
			inner := strings.TrimSpace(e.text[e.position(structure.Fields.Opening).Offset+1 : e.position(structure.Fields.Closing).Offset])
			if inner != "" {
				inner = "\t" + inner + "\n"
			}
			e.add(closing, 0, j.impl.name+" needs a field for the event log", replaceLines, fmt.Sprintf("type %s{\n%s\t%s *%s.Log\n}", head, inner, j.newField(), e.nameFor(events)))
		}
		e.imports(events.Path, e.nameFor(events))
		return false
	})
}

// newField returns the name of the field that the implementation gets for the log.
func (j *joined) newField() string {
	names, _ := j.impl.fields()
	for _, name := range []string{"events", "eventLog", "receivedEvents"} {
		if _, isMethod := j.impl.methods[name]; !isMethod && !slices.Contains(names, name) {
			return name
		}
	}
	return "protoEvents"
}

// nameFor returns the name that a file has, or gets, for a package.
func (e *edits) nameFor(pkg model.GoPackage) string {
	for _, spec := range e.syntax.Imports {
		if importPathOf(spec) == pkg.Path && spec.Name != nil {
			return spec.Name.Name
		}
	}
	return pkg.Name
}

// function returns a function of a file, or nil.
func (e *edits) function(receiver, name string) *ast.FuncDecl {
	for _, decl := range e.syntax.Decls {
		if function, ok := decl.(*ast.FuncDecl); ok && function.Name.Name == name && receiverType(function) == receiver {
			return function
		}
	}
	return nil
}

// maker returns the exported function that makes the implementation from whatever, and
// its file: New before others.
func (j *joined) maker() (at, name string) {
	for _, file := range j.files {
		for _, decl := range file.syntax.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok || file.test || function.Recv != nil || !function.Name.IsExported() || function.Type.Results == nil {
				continue
			}
			out, _ := file.spellList(function.Type.Results)
			if len(out) > 0 && slices.Contains([]string{j.impl.name, "*" + j.impl.name, j.server()}, out[0]) && (name == "" || function.Name.Name == "New") {
				at, name = file.at, function.Name.Name
			}
		}
	}
	return at, name
}

// constructor adds the steps by which the function that makes the implementation takes
// the log, as its first argument.
func (l *lead) constructor(j *joined) {
	at, name := j.maker()
	e := l.edit(at)
	if e == nil || e.replaced[name] {
		return
	}
	function := e.function("", name)
	if function == nil || function.Body == nil || e.line(function.Pos()) != e.line(function.Body.Lbrace) {
		return
	}
	events, field := j.service.Package.Events, j.newField()
	e.imports(events.Path, e.nameFor(events))
	parameter := fmt.Sprintf("%s *%s.Log", field, e.nameFor(events))
	if len(function.Type.Params.List) > 0 {
		parameter += ", "
	}
	text := strings.Split(e.text, "\n")[e.line(function.Pos())-1]
	offset := e.position(function.Type.Params.Opening)
	changed := text[:offset.Column] + parameter + text[offset.Column:]
	var literal *ast.CompositeLit
	ast.Inspect(function.Body, func(node ast.Node) bool {
		if found, ok := node.(*ast.CompositeLit); ok && literal == nil {
			if of, ok := found.Type.(*ast.Ident); ok && of.Name == j.impl.name {
				literal = found
			}
		}
		return true
	})
	if literal == nil {
		e.add(e.line(function.Pos()), 0, fmt.Sprintf("%s must take the event log, and set the field %s", name, field), replaceLines, changed)
		return
	}
	first, last := e.line(literal.Lbrace), e.line(literal.Rbrace)
	set := fmt.Sprintf("%s: %[1]s", field)
	switch line := strings.Split(e.text, "\n")[first-1]; {
	case first == e.line(function.Pos()): // the whole function is one line
		at := strings.Index(changed, j.impl.name+"{") + len(j.impl.name) + 1
		if len(literal.Elts) > 0 {
			set += ", "
		}
		changed = changed[:at] + set + changed[at:]
	case last > first:
		e.add(first, 0, name+" must set the field", addBelow, e.indent(first)+"\t"+set+",")
	default:
		if len(literal.Elts) > 0 {
			set += ", "
		}
		column := e.position(literal.Lbrace).Column
		e.add(first, 0, name+" must set the field", replaceLines, line[:column]+set+line[column:])
	}
	e.add(e.line(function.Pos()), 0, name+" must take the event log", replaceLines, changed)
}

// method adds the steps by which an RPC stores events: its skeleton, where the code only
// answers Unimplemented, or the call that appends, if the code is another.
func (l *lead) method(j *joined, rpc *model.Method, method method) {
	e := l.edit(method.file.at)
	if e == nil || e.replaced[j.impl.name+"."+rpc.Name] {
		return
	}
	function := e.function(j.impl.name, rpc.Name)
	switch {
	case function == nil:
	case isUnimplemented(function):
		l.skeleton(j, rpc, e, function)
	case j.storesNothing(method, rpc):
		l.append(j, rpc, e, function)
	}
}

// skeleton adds the step that replaces a stub by the skeleton of the RPC.
func (l *lead) skeleton(j *joined, rpc *model.Method, e *edits, stub *ast.FuncDecl) {
	version := l.files[path.Join(j.dir, rpc.File+".go")]
	if version == nil {
		return
	}
	next := newEdits("", version.after.render())
	if next == nil {
		return
	}
	function := next.function(j.impl.name, rpc.Name)
	if function == nil || isUnimplemented(function) {
		return
	}
	here := e.declarations()
	e.replaced[j.impl.name+"."+rpc.Name] = true
	code := next.source(function)
	e.add(e.line(stub.Pos()), e.line(stub.End()), rpc.String()+" takes or reads events now, and this answers Unimplemented", replaceLines, code)
	for _, spec := range next.syntax.Imports {
		if uses(code, nameOf(spec)) {
			e.imports(importPathOf(spec), nameOf(spec))
		}
	}
	e.dropImports(here)
}

// storesNothing reports whether the code of a unary RPC that takes events stores none,
// nor does any other code of the package.
func (j *joined) storesNothing(method method, rpc *model.Method) bool {
	if rpc.Kind != model.UnaryEvent && rpc.Kind != model.UnaryBatch || method.decl.Body == nil || isUnimplemented(method.decl) {
		return false
	}
	return !selects(method.decl.Body, func(name string) bool { return name == j.service.Code.Field }) && !j.selected()["Append"+rpc.Event.Title]
}

// selected returns the names that follow a dot in the code of a service, tests aside.
func (j *joined) selected() map[string]bool {
	if j.selectors == nil {
		j.selectors = map[string]bool{}
		for _, file := range j.files {
			if !file.test {
				selects(file.syntax, func(name string) bool { j.selectors[name] = true; return false })
			}
		}
	}
	return j.selectors
}

// selects reports whether code has a name that follows a dot and is one of those asked for.
func selects(in ast.Node, is func(name string) bool) (found bool) {
	ast.Inspect(in, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			found = is(selector.Sel.Name) || found
		}
		return true
	})
	return found
}

// append adds the step that stores the events of a request, after the checks that the
// code begins with and before anything else is done.
func (l *lead) append(j *joined, rpc *model.Method, e *edits, function *ast.FuncDecl) {
	names := parameters(function)
	field := j.service.Code.Field
	if field == "" {
		field = j.newField()
	}
	if !e.opens(function) {
		return
	}
	if len(names) != 2 || slices.Contains(names, "_") || len(function.Recv.List[0].Names) != 1 || function.Recv.List[0].Names[0].Name == "_" {
		e.add(e.line(function.Pos()), 0, rpc.String()+" takes events now, and this has no names for what it needs to store them", replaceLines,
			fmt.Sprintf("func (%s) %s(ctx context.Context, request *%s.%s) (*%s.%s, error) {", j.service.Code.Receiver(), rpc.Name,
				e.nameFor(rpc.Input.Go), rpc.Input.Name, e.nameFor(rpc.Output.Go), rpc.Output.Name))
		return
	}
	ctx, given := names[0], names[1]
	if rpc.Holder != nil {
		given += "." + rpc.Holder.Getter + "()"
	}
	if rpc.Many() {
		ctx, given = "eventid.Sequence("+ctx+")", given+"..."
		e.imports(rpc.Service.Package.Program.Module.Runtime+"/eventid", "eventid")
	}
	why := fmt.Sprintf("%s takes events now, and this stores none (if it should not, write // receiver:plain above the RPC, %s)", rpc, rpc.At)
	if rpc.Reply.Receipts() {
		why += fmt.Sprintf("; the receipts that Append%s returns have what the reply says of its events", rpc.Event.Title)
	}
	e.add(e.checked(function), 0, why, addBelow, fmt.Sprintf("\tif _, err := %s.%s.Append%s(%s, %s); err != nil {\n\t\treturn nil, err\n\t}",
		function.Recv.List[0].Names[0].Name, field, rpc.Event.Title, ctx, given))
}

// checked returns the last line of the checks that a function begins with. A check may
// return an error, and has nothing to do with the receiver: so it changes nothing, and
// what it lets pass is still to be stored.
func (e *edits) checked(function *ast.FuncDecl) (line int) {
	line = e.line(function.Body.Lbrace)
	for _, statement := range function.Body.List {
		check, ok := statement.(*ast.IfStmt)
		if !ok || !e.onOwnLines(check, "") || !refuses(check, function.Recv.List[0].Names[0].Name) {
			break
		}
		line = e.line(check.End())
	}
	return line
}

// refuses reports whether all that a statement returns are errors, and whether it does
// without a variable.
func refuses(statement *ast.IfStmt, variable string) bool {
	returns, other := false, false
	ast.Inspect(statement, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.Ident:
			other = other || node.Name == variable
		case *ast.ReturnStmt:
			returns = true
			if len(node.Results) != 2 {
				other = true
			} else if err, ok := node.Results[1].(*ast.Ident); ok {
				other = other || err.Name == "nil"
			}
		}
		return true
	})
	return returns && !other
}

// opens reports whether the first line of a function is its signature, and its body is
// in others.
func (e *edits) opens(function *ast.FuncDecl) bool {
	first := e.line(function.Pos())
	return first == e.line(function.Body.Lbrace) && e.line(function.Body.Rbrace) > first && strings.HasSuffix(strings.TrimRight(strings.Split(e.text, "\n")[first-1], " \t\r"), "{")
}

// parameters returns the names of what a function takes.
func parameters(function *ast.FuncDecl) (names []string) {
	for _, field := range function.Type.Params.List {
		for _, name := range field.Names {
			names = append(names, name.Name)
		}
	}
	return names
}

// newService adds the steps by which the tests make the service with the log.
func (l *lead) newService(j *joined) {
	file, has := j.function("newService")
	if has == nil || len(j.staleTests()) == 0 || l.renews(j, "newService") {
		return
	}
	e := l.edit(file.at)
	if e == nil {
		return
	}
	function, events := e.function("", "newService"), j.service.Package.Events
	if function == nil || function.Body == nil || !e.opens(function) || len(parameters(function)) > 1 || function.Type.Results == nil {
		return
	}
	parameter := strings.Join(append(parameters(function), "_")[:1], "")
	e.add(e.line(function.Pos()), 0, "the contract gives newService the log", replaceLines,
		fmt.Sprintf("func newService(%s testing.TB, events *%s.Log) %s {", parameter, e.nameFor(events), e.source(function.Type.Results)))
	e.imports(events.Path, e.nameFor(events))
	_, name := j.maker()
	ast.Inspect(function.Body, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		if called, ok := call.Fun.(*ast.Ident); ok && called.Name == name {
			line, column := e.line(call.Lparen), e.position(call.Lparen).Column
			text := strings.Split(e.text, "\n")[line-1]
			log := "events"
			if len(call.Args) > 0 {
				log += ", "
			}
			e.add(line, 0, name+" takes the log now", replaceLines, text[:column]+log+text[column:])
		}
		return true
	})
	e.replaced["newService"] = true
}

// tests adds the steps for calls of serve in tests that were written when it returned
// the client alone.
func (l *lead) tests(j *joined) {
	l.newService(j)
	if !j.serves() && !l.renews(j, "serve") {
		return
	}
	for _, file := range j.files {
		if !file.test {
			continue
		}
		e := l.edit(file.at)
		if e == nil {
			continue
		}
		for _, decl := range e.syntax.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok || e.replaced[function.Name.Name] || function.Name.Name == "serve" {
				continue
			}
			ast.Inspect(function, func(node ast.Node) bool {
				assign, ok := node.(*ast.AssignStmt)
				if !ok || len(assign.Lhs) != 1 || len(assign.Rhs) != 1 || assign.Tok != token.DEFINE || !e.onOwnLines(assign, "") {
					return true
				}
				call, ok := assign.Rhs[0].(*ast.CallExpr)
				if !ok || len(call.Args) != 1 {
					return true
				}
				if called, ok := call.Fun.(*ast.Ident); ok && called.Name == "serve" {
					line := e.line(assign.Pos())
					e.add(line, 0, "serve returns the log, too", replaceLines, e.indent(line)+e.source(assign.Lhs[0])+", _ := "+e.source(call))
				}
				return true
			})
		}
	}
}

// renews reports whether steps make a function of the tests new.
func (l *lead) renews(j *joined, name string) bool {
	file, function := j.function(name)
	if function == nil {
		return false
	}
	return slices.Contains(l.removable, file.at) || l.edits[file.at] != nil && l.edits[file.at].replaced[name]
}
