package keep

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// isBehind reports whether a service of a program is, or its main makes a service
// without the log that takes it, or leaves one out that steps lead to.
func (m *Module) isBehind(program *model.Program, behind map[string]bool) bool {
	if !program.UsesEvents() {
		return false
	}
	calls := m.calls(program.ServerDir())
	for _, pkg := range program.Packages {
		for _, service := range pkg.Services {
			if behind[service.FullName] || service.UsesEvents() && m.mainLacks(program, service, calls) {
				return true
			}
		}
	}
	return false
}

// mainLacks reports whether a program's main makes a service without the log that it
// takes, or leaves it out though it is awaited there.
func (m *Module) mainLacks(program *model.Program, service *model.Service, calls calls) bool {
	code := service.Code
	if code.New == "" || !code.TakesLog {
		return false
	}
	served := len(calls[service.Impl().Path+"."+code.New]) > 0
	without := len(calls[strconv.Quote(service.FullName)]) > 0 && !served && m.awaited[program.ServerDir()+"/main.go"]
	return without || served && len(calls[program.Module.Runtime+"/eventlog.Open"]) == 0 && len(calls[service.Package.Events.Path+".New"]) == 0
}

// main returns the steps for the main of a program's server.
func (l *lead) main(program *model.Program, behind map[string]bool) []string {
	dir := program.ServerDir()
	l.update(dir)
	var paths []string
	for _, file := range l.module.folder(dir).files {
		paths = append(paths, file.at)
		if e := l.edit(file.at); e != nil && !file.ours && !file.test && len(e.steps) == 0 {
			l.serve(program, e, behind)
		}
	}
	return l.lines(paths)
}

// serving is the function of a main that runs the server.
type serving struct {
	*edits
	program  *model.Program
	function *ast.FuncDecl
	run      *ast.CallExpr // of server.Run
	// statement is the first in the function's body that needs the log.
	statement ast.Stmt
	log       string // what the event log is called
	opens     bool   // whether it is opened
	above     string // what is to be added above the statement
}

// serve adds the steps for a file that runs the server.
func (l *lead) serve(program *model.Program, e *edits, behind map[string]bool) {
	s := findServing(program, e)
	if s == nil {
		return
	}
	changed, calls := false, l.module.calls(program.ServerDir())
	for _, pkg := range program.Packages {
		for _, service := range pkg.Services {
			if service.UsesEvents() && (behind[service.FullName] || l.module.mainLacks(program, service, calls)) {
				changed = s.service(l, service) || changed
			}
		}
	}
	if !changed {
		return
	}
	if !s.opens {
		s.open()
	}
	if s.above != "" {
		s.add(s.line(s.statement.Pos()), 0, "the server needs the event log", addAbove, strings.TrimRight(s.above, "\n"))
	}
}

// findServing finds the call of server.Run.
func findServing(program *model.Program, e *edits) *serving {
	runtime := program.Module.Runtime
	s := &serving{edits: e, program: program, log: "log"}
	for _, decl := range e.syntax.Decls {
		function, ok := decl.(*ast.FuncDecl)
		if !ok || function.Body == nil {
			continue
		}
		for _, statement := range function.Body.List {
			ast.Inspect(statement, func(node ast.Node) bool {
				if call, ok := node.(*ast.CallExpr); ok && e.isCall(call, runtime+"/server", "Run") && len(call.Args) >= 2 {
					s.function, s.run, s.statement = function, call, statement
				}
				if assign, ok := node.(*ast.AssignStmt); ok && len(assign.Rhs) == 1 && len(assign.Lhs) == 2 {
					if call, ok := assign.Rhs[0].(*ast.CallExpr); ok && e.isCall(call, runtime+"/eventlog", "Open") {
						s.opens, s.log = true, e.source(assign.Lhs[0])
					}
				}
				return true
			})
		}
	}
	if s.run == nil {
		return nil
	}
	if !s.opens && uses(e.text, "log") {
		s.log = "eventLog"
	}
	return s
}

// isCall reports whether a call is one of a function of a package.
func (e *edits) isCall(call *ast.CallExpr, importPath, name string) bool {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	of, ok := selector.X.(*ast.Ident)
	return ok && slices.ContainsFunc(e.syntax.Imports, func(spec *ast.ImportSpec) bool {
		has := importPathOf(spec)
		return has == importPath && (spec.Name == nil && slices.Contains([]string{beforeVersion(has), path.Base(has)}, of.Name) ||
			spec.Name != nil && spec.Name.Name == of.Name)
	})
}

// open adds what opens the log.
func (s *serving) open() {
	failed := "panic(err)"
	if results := s.function.Type.Results; results != nil && len(results.List) == 1 && s.source(results.List[0].Type) == "error" {
		failed = "return err"
	}
	s.above = fmt.Sprintf("\t%[1]s, err := eventlog.Open(%[2]s, %[3]s.Events)\n\tif err != nil {\n\t\t%[4]s\n\t}\n\tdefer %[1]s.Close()\n", s.log, s.source(s.run.Args[0]), s.source(s.run.Args[1]), failed) + s.above
	s.imports(s.program.Module.Runtime+"/eventlog", "eventlog")
	last := s.run.Args[len(s.run.Args)-1]
	s.edits.add(s.line(last.End()), 0, "the server is ready when the event log is", addBelow, fmt.Sprintf("\t\tserver.Needs(\"event log\", %s.Check),", s.log))
	for _, statement := range s.function.Body.List {
		assign, ok := statement.(*ast.AssignStmt)
		if !ok || len(assign.Rhs) != 1 {
			continue
		}
		call, ok := assign.Rhs[0].(*ast.CallExpr)
		if !ok || !s.isCall(call, s.program.Module.Runtime+"/server", "Parse") || len(call.Args) < 4 || failed != "return err" {
			continue
		}
		args := s.source(call.Args[1])
		s.imports(s.program.Module.Runtime+"/operate", "operate")
		passed := append([]string{s.source(s.run.Args[0]), s.source(call.Args[0]), args + "[1:]", s.source(call.Args[2]), s.source(call.Args[3])},
			s.program.Module.EventCommands()...)
		s.edits.add(s.line(assign.Pos()), 0, "the program operates its event log, too", addAbove,
			fmt.Sprintf("\tif len(%[1]s) > 0 && %[1]s[0] == \"events\" {\n\t\treturn operate.Events(%[2]s)\n\t}", args, strings.Join(passed, ", ")))
	}
}

// service adds the steps by which a service gets the log. It returns false if there are
// none.
func (s *serving) service(l *lead, service *model.Service) bool {
	pkg, impl, name := service.Package, service.Impl(), service.Code.New
	if name == "" {
		if _, name = l.module.joined[service].maker(); name == "" {
			name = "New"
		}
	}
	events := fmt.Sprintf("%s.New(%s)", s.nameFor(pkg.Events), s.log)
	made := "" // the variable
	var call *ast.CallExpr
	ast.Inspect(s.syntax, func(node ast.Node) bool {
		if found, ok := node.(*ast.CallExpr); ok && s.isCall(found, impl.Path, name) {
			call = found
		}
		if assign, ok := node.(*ast.AssignStmt); ok && len(assign.Lhs) == 1 && len(assign.Rhs) == 1 {
			if found, ok := assign.Rhs[0].(*ast.CallExpr); ok && s.isCall(found, impl.Path, name) {
				made = s.source(assign.Lhs[0])
			}
		}
		return true
	})
	if call != nil && len(call.Args) > 0 && service.Code.TakesLog {
		return false // as it was when the function took the log already
	}
	expression := fmt.Sprintf("%s.%s(%s)", s.nameFor(impl), name, events)
	if call != nil && len(call.Args) > 0 {
		arguments := s.text[s.position(call.Args[0].Pos()).Offset:s.position(call.Rparen).Offset]
		expression = fmt.Sprintf("%s(%s, %s)", s.source(call.Fun), events, arguments)
	}
	argument, first := s.argument(service), s.statementOf(call)
	if made != "" && first == nil || argument == nil || !s.onOwnLines(argument, ",") {
		consumed := ""
		if consumes(service) {
			consumed = "; and " + consumer(service, madeBy(service)) + ", which handles the stored events"
		}
		s.edits.add(s.line(s.run.Pos()), 0, fmt.Sprintf("%s takes events now: serve it by %s.%s(%s), where %s is the event log, opened by eventlog.Open%s", service, pkg.Server.Name, service.Func, expression, s.log, consumed), think, "")
		return false
	}
	if made == "" {
		made = service.Variable
		s.above += fmt.Sprintf("\t%s := %s\n", made, expression)
	} else {
		if first.Pos() < s.statement.Pos() {
			s.statement = first
		}
		line := s.line(call.Pos())
		text := strings.Split(s.text, "\n")[line-1]
		s.edits.add(line, 0, service.String()+" takes the log now", replaceLines, strings.Replace(text, s.source(call), expression, 1))
	}
	code := fmt.Sprintf("\t\t%s.%s(%s),", s.nameFor(pkg.Server), service.Func, made)
	if (service.Code.Consumes || l.consumerComes(service)) && !strings.Contains(s.text, made+"."+service.ConsumeName()) {
		code += fmt.Sprintf("\n\t\tserver.Alongside(%q, %s.%s),", "consumer "+service.FullName, made, service.ConsumeName())
	}
	s.edits.add(s.line(argument.Pos()), s.line(argument.End()), service.String()+" takes events now", replaceLines, code)
	s.imports(pkg.Events.Path, s.nameFor(pkg.Events))
	s.imports(pkg.Server.Path, s.nameFor(pkg.Server))
	s.imports(impl.Path, s.nameFor(impl))
	return true
}

// statementOf returns the statement in the body of the function that has a call; nil if
// none has.
func (s *serving) statementOf(call *ast.CallExpr) ast.Stmt {
	i := slices.IndexFunc(s.function.Body.List, func(one ast.Stmt) bool {
		return call != nil && one.Pos() <= call.Pos() && call.End() <= one.End()
	})
	if i < 0 {
		return nil
	}
	return s.function.Body.List[i]
}

// argument returns the argument of server.Run that serves a service, or leaves it out.
func (s *serving) argument(service *model.Service) (found ast.Expr) {
	for _, argument := range s.run.Args[2:] {
		call, ok := argument.(*ast.CallExpr)
		if !ok {
			continue
		}
		without := s.isCall(call, s.program.Module.Runtime+"/server", "Without") && len(call.Args) == 1 && s.source(call.Args[0]) == strconv.Quote(service.FullName)
		if without || s.isCall(call, service.Package.Server.Path, service.Func) {
			found = argument
		}
	}
	return found
}

// consumerComes reports whether a later run writes the method that handles stored events.
func (l *lead) consumerComes(service *model.Service) bool {
	at := service.Impl().Dir + "/consume.go"
	return service.TakesEvents() && l.module.awaited[at] && !l.module.undone[at]
}
