package keep

import (
	"bytes"
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/report"
)

// Lead finds the services that take or read events by now, and whose code, which is
// yours, was written before they did. It adds to the lines the steps by which that code
// gets the log, in the order in which to do them. outputs returns what the templates
// make of a module.
//
// Files that are still as an earlier run wrote them are to be deleted: they come again,
// though deleted files do not otherwise. It must be called between [Module.Join] and
// [Module.Decide].
func (m *Module) Lead(target *model.Module, outputs func(*model.Module) ([]Output, error)) error {
	behind, stubs := map[string]bool{}, map[string][]string{} // by full names of services
	for _, service := range target.Services() {
		if err := m.readAwaited(service); err != nil {
			return err
		}
		behind[service.FullName] = m.joined[service].behind()
		stubs[service.FullName] = m.joined[service].stubs()
	}
	if err := m.leadRenamed(target, outputs); err != nil {
		return err
	}
	programs := slices.DeleteFunc(slices.Clone(target.Programs), func(program *model.Program) bool { return !m.isBehind(program, behind) })
	l := &lead{module: m, files: map[string]*versions{}, edits: map[string]*edits{}}
	if len(programs) > 0 {
		if err := l.render(target, outputs, behind, stubs); err != nil {
			return err
		}
	}
	lines := l.steps(programs, behind)
	for _, service := range target.Services() {
		if j := m.joined[service]; j.impl != nil && j.movedFrom() == "" && !l.renews(j, "newService") {
			m.print(report.NotFitting, j.staleTests()...)
		}
	}
	m.print(report.Steps, lines...)
	return nil
}

// render notes what the templates make of each variation of a module.
func (l *lead) render(target *model.Module, outputs func(*model.Module) ([]Output, error), behind map[string]bool, stubs map[string][]string) error {
	for _, variation := range variations {
		changed := model.Variation(target, func(s *model.Service) {
			if s.UsesEvents() && (behind[s.FullName] || s.Code.Field == "") {
				variation.change(s, stubs[s.FullName])
			}
		})
		all, err := outputs(changed)
		if err != nil {
			return err
		}
		for _, output := range all {
			l.add(output, variation.after)
		}
	}
	return nil
}

// steps returns what to print for programs: each step, in the order in which to do them.
func (l *lead) steps(programs []*model.Program, behind map[string]bool) (lines []string) {
	for _, program := range programs {
		for _, pkg := range program.Packages {
			for _, service := range pkg.Services {
				if behind[service.FullName] {
					lines = append(lines, l.service(l.module.joined[service])...)
				}
			}
		}
		lines = append(lines, l.main(program, behind)...)
	}
	if len(l.edited) > 0 {
		lines = append(lines, "the lines above may not be in the form of gofmt; run:\n\tgofmt -w "+strings.Join(l.edited, " "))
	}
	if len(l.removable) > 0 {
		slices.Sort(l.removable)
		lines = append(lines, fmt.Sprintf("%s still as generated; delete, and the next run writes what events need; run:\n\trm %s",
			filesAre(len(l.removable)), strings.Join(l.removable, " ")))
	}
	if len(lines) > 0 {
		lines = slices.Insert(lines, 0, "your code was written before there were events, and does not store them all. Do these steps, in this order, and run the generator again:")
	}
	return lines
}

func filesAre(n int) string {
	if n == 1 {
		return "one file of yours is"
	}
	return fmt.Sprintf("%d files of yours are", n)
}

// behind reports whether the implementation of a service that has to do with events was
// written for one that had not: it has no log, its tests make it without one, or an RPC
// is still a stub that could store events.
func (j *joined) behind() bool {
	switch {
	case j.err != nil || j.impl == nil || !j.service.UsesEvents() || j.movedFrom() != "":
		return false
	case j.lacksLog() || len(j.staleTests()) > 0:
		return true
	}
	return j.service.Code.Field != "" && len(j.stubs()) > 0
}

// lacksLog reports whether the implementation of a service with events has no field for
// the log, and no code beside it has anything to do with the log in another way.
func (j *joined) lacksLog() bool {
	if !j.service.UsesEvents() || j.service.Code.Field != "" || j.service.Code.TakesLog {
		return false
	}
	for _, file := range j.files {
		if !file.test && slices.Contains(file.uses(), j.service.Package.Events.Path) {
			return false
		}
	}
	return true
}

// uses returns the import paths of the packages that a file has names of.
func (f *goFile) uses() (paths []string) {
	ast.Inspect(f.syntax, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if of, ok := selector.X.(*ast.Ident); ok && f.imports[of.Name] != "" {
				paths = append(paths, f.imports[of.Name])
			}
		}
		return true
	})
	return paths
}

// stubs returns the RPCs that have to do with events and whose code does not use the log.
func (j *joined) stubs() (names []string) {
	for _, rpc := range j.service.Methods {
		if j.impl == nil || rpc.Event == nil {
			continue
		}
		if method, ok := j.impl.methods[rpc.Name]; ok && (isUnimplemented(method.decl) || j.storesNothing(method, rpc)) {
			names = append(names, rpc.Name)
		}
	}
	return names
}

// isUnimplemented reports whether a function does nothing but return the code
// Unimplemented.
func isUnimplemented(function *ast.FuncDecl) (does bool) {
	if function.Body == nil || len(function.Body.List) != 1 {
		return false
	}
	statement, ok := function.Body.List[0].(*ast.ReturnStmt)
	if !ok {
		return false
	}
	ast.Inspect(statement, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		does = does || ok && selector.Sel.Name == "Unimplemented"
		return true
	})
	return does
}

// variations are the modules of which yours may have been made, and the one of which
// it should be made.
var variations = []struct {
	after  bool
	change func(s *model.Service, stubs []string)
}{
	{false, func(s *model.Service, _ []string) {
		model.ForgetEvents(s, false, func(*model.Method) bool { return true })
		withoutLog(s)
	}},
	{false, func(s *model.Service, stubs []string) {
		model.ForgetEvents(s, true, func(rpc *model.Method) bool { return slices.Contains(stubs, rpc.Name) })
		withNew(s)
	}},
	{false, func(s *model.Service, _ []string) { withoutLog(s) }}, // stubs that joined code without a log
	{true, func(s *model.Service, _ []string) {
		code := model.CodeOfTemplates(s)
		if s.Code.Field != "" {
			code.Field = s.Code.Field
		}
		if s.Code.New != "" {
			code.New, code.Made = s.Code.New, s.Code.Made
		}
		code.Package, code.Type, code.Self, code.Pointer, code.Written = s.Code.Package, s.Code.Type, s.Code.Self, s.Code.Pointer, s.Code.Written
		s.Code = code
	}},
}

func withoutLog(s *model.Service) {
	s.Code.Field, s.Code.TakesLog, s.Code.Consumes = "", false, false
	withNew(s)
}

// withNew names the function that makes the service as templates do, if the code has
// none that tests could call. Without a name the file would be no Go, and what its owner
// has not changed would not be known.
func withNew(s *model.Service) {
	if s.Code.New == "" {
		code := model.CodeOfTemplates(s)
		s.Code.New, s.Code.Made = code.New, code.Made
	}
}

// lead finds the steps of a run.
type lead struct {
	module    *Module
	files     map[string]*versions // of yours, by their paths
	edits     map[string]*edits    // by the paths of their files
	edited    []string             // the files whose edits are among the lines
	removable []string             // files of yours that are still as an earlier run wrote them
}

// versions are what templates make of a file of yours.
type versions struct {
	before []Output
	after  Output
}

func (l *lead) add(output Output, after bool) {
	if output.Owner != Yours || !output.isGo() && !output.sample() {
		return
	}
	if l.files[output.Path] == nil {
		l.files[output.Path] = &versions{}
	}
	if after {
		l.files[output.Path].after = output
	} else {
		l.files[output.Path].before = append(l.files[output.Path].before, output)
	}
}

// render returns what an output would be; nil if there is none, or it can't be made.
func (o Output) render() []byte {
	if o.Render == nil {
		return nil
	}
	text, err := o.Render()
	if err != nil {
		return nil // [Module.Decide] reports it, if the file is wanted
	}
	return text
}

// outdated looks at a file of yours. It returns what the file should be, and what it
// may have been generated as, if it is there and neither. One that is still as it was
// generated is noted to be removable.
func (l *lead) outdated(at string) (text, after []byte, before [][]byte) {
	version := l.files[at]
	text, err := l.module.read(at)
	if version == nil || err != nil || text == nil {
		return nil, nil, nil
	}
	after = version.after.render()
	if after == nil || bytes.Equal(text, after) {
		return nil, nil, nil
	}
	for _, output := range version.before {
		if once := output.render(); bytes.Equal(text, once) {
			l.removable = append(l.removable, at)
			l.module.awaited[at], l.module.undone[at] = true, true
			return nil, nil, nil
		} else if once != nil {
			before = append(before, once)
		}
	}
	return text, after, before
}

// of returns the files of yours that are made in a folder, in order.
func (l *lead) of(dir string) (paths []string) {
	for at := range l.files {
		if path.Dir(at) == dir {
			paths = append(paths, at)
		}
	}
	slices.Sort(paths)
	return paths
}

// edit returns the edits of a file, or nil if it is to be deleted or is not Go.
func (l *lead) edit(at string) *edits {
	if slices.Contains(l.removable, at) {
		return nil
	}
	if l.edits[at] == nil {
		if text, err := l.module.read(at); err == nil && text != nil {
			l.edits[at] = newEdits(at, text)
		}
	}
	return l.edits[at]
}

// lines returns what to print for the edits of files, in the order of these.
func (l *lead) lines(paths []string) (lines []string) {
	for _, at := range paths {
		if e := l.edits[at]; e != nil && len(e.steps) > 0 && !e.printed {
			l.module.awaited[at], l.module.undone[at] = true, true
			lines = append(lines, e.lines()...)
			if slices.ContainsFunc(e.steps, func(s step) bool { return s.do != think }) {
				l.edited = append(l.edited, at)
			}
			e.printed = true
		}
	}
	return lines
}

// update adds the steps for what is still as it was generated in the files of a folder
// that are yours.
func (l *lead) update(dir string) {
	for _, at := range l.of(dir) {
		text, after, before := l.outdated(at)
		if text == nil {
			continue
		}
		if e := l.edit(at); e != nil {
			e.update(before, after)
		}
	}
}

// service returns the steps for the implementation of a service.
func (l *lead) service(j *joined) []string {
	waiting := l.await(j)
	l.update(j.dir)
	l.update(j.service.SampleDir()) // a tail is sent another request
	if j.lacksLog() {
		l.field(j)
		l.constructor(j)
	}
	for _, rpc := range j.service.Methods {
		if method, ok := j.impl.methods[rpc.Name]; ok && rpc.Event != nil {
			l.method(j, rpc, method)
		}
	}
	l.tests(j)
	var paths []string
	for _, file := range j.files {
		paths = append(paths, file.at)
	}
	slices.SortStableFunc(paths, func(a, b string) int { return strings.Compare(rankOf(j, a), rankOf(j, b)) })
	return append(waiting, l.lines(paths)...)
}

// rankOf puts the file of the implementation first, and tests last.
func rankOf(j *joined, at string) string {
	switch {
	case at == j.impl.file.at:
		return "0"
	case strings.HasSuffix(at, "_test.go"):
		return "2" + at
	}
	return "1" + at
}

// await notes the files of a service that its code can't have before it has the log,
// and that an earlier run did not know: what handles events, and new RPCs.
// It returns a line for each of those RPCs.
func (l *lead) await(j *joined) (lines []string) {
	if !j.lacksLog() {
		return nil
	}
	hadEvents := l.module.hadEvents(j.service)
	for _, at := range l.of(j.dir) {
		if !l.module.lacks(at) {
			continue
		}
		output := l.files[at].after
		switch element := output.Element.(type) {
		case *model.Service:
			if !hadEvents {
				l.module.awaited[at] = true
			}
		case *model.Method:
			if known, err := l.module.known(element); err == nil && !known && (element.Event != nil || output.test()) {
				l.module.awaited[at] = true
				if !output.test() {
					l.module.awaited[element.SamplePath()] = true
					lines = append(lines, fmt.Sprintf("%s: %s waits for the steps below: the next run writes it", at, element))
				}
			}
		}
	}
	return lines
}

// awaits begins the line, below that with the source, that names the files of yours
// which a later run is to write, though it knows what they are for, or which have steps
// that are not done.
const awaits = "awaits: "

// readAwaited reads that line in the contract of a service, which comes when the code
// has to change, and in the service's record, which comes last: a run that is cut off
// between the two, before or after the files of yours, is completed by the next.
func (m *Module) readAwaited(service *model.Service) error {
	for _, file := range []string{service.Contract(), service.Record().Path} {
		text, err := m.read(file)
		if err != nil {
			return err
		}
		if !Marked(file, text) {
			continue
		}
		head, _, _ := bytes.Cut(text, []byte("\n\n"))
		_, rest, found := bytes.Cut(head, []byte(" "+awaits))
		line, _, _ := strings.Cut(string(rest), "\n")
		if found {
			for _, at := range strings.Split(strings.TrimSpace(line), ", ") {
				m.awaited[at] = true
			}
		}
	}
	return nil
}

// withAwaited adds that line to the contracts and records that a run writes.
func (m *Module) withAwaited(outputs []Output, decisions []decision) {
	if len(m.awaited) == 0 {
		return
	}
	for i, output := range outputs {
		service, ok := output.Element.(*model.Service)
		if !ok || output.Path != service.Contract() && output.Path != service.Record().Path || !decisions[i].writes() {
			continue
		}
		var paths []string
		for at := range m.awaited {
			dirs := []string{service.Impl().Dir, service.SampleDir(), service.Package.Program.ServerDir()}
			ofService := slices.Contains(dirs, path.Dir(at))
			if ofService && service.UsesEvents() && m.isAwaited(at, outputs) {
				paths = append(paths, at)
			}
		}
		if len(paths) > 0 {
			slices.Sort(paths)
			comment := "// "
			if !output.isGo() {
				comment = "# "
			}
			head, rest, _ := bytes.Cut(decisions[i].content, []byte("\n\n"))
			decisions[i].content = bytes.Join([][]byte{head, []byte("\n" + comment + awaits + strings.Join(paths, ", ") + "\n\n"), rest}, nil)
		}
	}
}

// isAwaited reports whether a file is awaited by the next run: this one has printed steps
// for it, or it has to wait for those of other files.
func (m *Module) isAwaited(at string, outputs []Output) bool {
	i := slices.IndexFunc(outputs, func(output Output) bool { return output.Path == at })
	if m.undone[at] || i < 0 {
		return m.undone[at]
	}
	return m.lacks(at) && !m.fitsAwaited(outputs[i]).may
}

// hadEvents reports whether an earlier run knew a service as one with events.
func (m *Module) hadEvents(service *model.Service) bool {
	text, err := m.read(service.Contract())
	return err != nil || text == nil || bytes.Contains(text, []byte(fmt.Sprintf("%q", service.Package.Events.Path)))
}
