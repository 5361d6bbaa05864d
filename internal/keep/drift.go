package keep

import (
	"cmp"
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/report"
)

// drift returns a line for each place where an implementation no longer fits its
// proto. The compiler finds some of them, too, but not why. all are the implementations
// of the run.
func (j *joined) drift(all map[*model.Service]*joined) (lines []report.Line) {
	if j.err != nil {
		lines = report.Of(report.NotFitting, fmt.Sprintf("%v: the code in %s could not be compared with the proto", j.err, j.dir))
	}
	if j.impl == nil || j.movedFrom() != "" {
		return lines // of the one cause there is one line
	}
	names := make([]string, 0, len(j.impl.methods))
	for name := range j.impl.methods {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		method := j.impl.methods[name]
		at := slices.IndexFunc(j.service.Methods, func(rpc *model.Method) bool { return rpc.Name == name })
		if at < 0 {
			lines = append(lines, report.Of(report.NotCalled, j.orphan(method, all)...)...)
		} else {
			lines = append(lines, report.Of(report.NotFitting, j.misfit(method, j.service.Methods[at])...)...)
		}
	}
	return lines
}

// misfit returns a line if a method does not have the signature that its RPC needs.
func (j *joined) misfit(has method, rpc *model.Method) []string {
	text, certain := has.file.signature(has.decl.Type)
	want := rpc.Signature()
	if !certain || slices.Contains(want, text) {
		return nil
	}
	return []string{fmt.Sprintf("%s: %s has the signature %s, but rpc %s needs %s",
		has.file.place(has.decl), rpc.Name, j.short(text, has.file), rpc.ProtoName, j.short(want[0], has.file))}
}

// orphan returns a line if a method looks like an RPC that the service does not
// have.
func (j *joined) orphan(has method, all map[*model.Service]*joined) []string {
	text, certain := has.file.signature(has.decl.Type)
	if !certain || !has.decl.Name.IsExported() || !j.looksLikeRPC(text) || j.ofSibling(has.decl.Name.Name, text, all) {
		return nil
	}
	line := fmt.Sprintf("%s: %s looks like an RPC, but service %s has no RPC of that name: nothing calls it",
		has.file.place(has.decl), has.decl.Name.Name, j.service.FullName)
	var alike []string
	stream := "." + j.service.Name + "_%sServer" // which is named after its RPC
	for _, rpc := range j.service.Methods {
		renamed := strings.ReplaceAll(text, fmt.Sprintf(stream, has.decl.Name.Name), fmt.Sprintf(stream, rpc.Name))
		if !rpc.Written() && slices.Contains(rpc.Signature(), renamed) {
			alike = append(alike, rpc.Name)
		}
	}
	if len(alike) == 1 {
		line += fmt.Sprintf(" (if the RPC is now called %s, rename the method and delete the new file that implements it; older clients call the old name: it may stay in the proto beside the new one)", alike[0])
	}
	return []string{line}
}

// looksLikeRPC reports whether a method of a signature could be called by gRPC.
func (j *joined) looksLikeRPC(signature string) bool {
	messages := j.service.Package.Messages.Path
	if strings.HasPrefix(signature, "(context.Context, *"+messages+".") {
		return strings.Count(signature, ", ") == 2 && strings.HasSuffix(signature, ", error)") && strings.Contains(signature, ") (*")
	}
	return strings.HasSuffix(signature, ") error") && (strings.Contains(signature, messages+"."+j.service.Name+"_") ||
		strings.Contains(signature, "StreamingServer["+messages+".") && strings.Contains(signature, "google.golang.org/grpc."))
}

// ofSibling reports whether another service of the package has the RPC, and it is
// implemented here: one type may implement several. It is not if there is an
// implementation for the other service alone: then the RPC has moved there.
func (j *joined) ofSibling(name, signature string, all map[*model.Service]*joined) bool {
	return slices.ContainsFunc(j.service.Package.Services, func(other *model.Service) bool {
		return other != j.service && (all[other].impl == nil || j.impl.embeds("Unimplemented"+other.Name+"Server")) && slices.ContainsFunc(other.Methods, func(rpc *model.Method) bool {
			return rpc.Name == name && slices.Contains(rpc.Signature(), signature)
		})
	})
}

// staleTests returns a line if newService does not have the signature that the
// contract needs: a service that took no events takes some now, or the reverse.
func (j *joined) staleTests() []string {
	file, function := j.function("newService")
	if function == nil {
		return nil
	}
	want := "(testing.TB) "
	if j.service.UsesEvents() {
		want = "(testing.TB, *" + j.service.Package.Events.Path + ".Log) "
	}
	in, certain := file.signature(&ast.FuncType{Params: function.Type.Params})
	out, _ := file.spellList(function.Type.Results)
	// It may return any type that implements the service, or the interface.
	fits := len(out) == 1 && (out[0] == j.server() || !strings.HasSuffix(out[0], path.Ext(j.server())))
	if !certain || fits && in+" " == want {
		return nil
	}
	if fits {
		want += out[0]
	} else {
		want += j.server()
	}
	text, _ := file.signature(function.Type)
	return []string{fmt.Sprintf("%s: newService has the signature %s, but the contract needs %s", file.place(function), j.short(text, file), j.short(want, file))}
}

// staleSamples returns a line for each request that the tests of a service send, and that
// its proto no longer has.
func (m *Module) staleSamples(service *model.Service) (lines []string) {
	for _, rpc := range service.Methods {
		at := rpc.SamplePath()
		text, err := m.read(at)
		if err != nil || len(text) == 0 {
			continue
		}
		if why := rpc.Refuses(text); why != "" {
			lines = append(lines, fmt.Sprintf("%s:%s: tests send this to %s: change it, or delete the file to have them send a value in every field", at, why, rpc))
		}
	}
	return lines
}

// qualified is a name with the import path of its package.
var qualified = regexp.MustCompile(`([^ (*\[]+)\.(\w+)`)

// short spells a signature as it is read in a file: with the names that the
// file has for packages, or that they have for themselves, for import paths.
func (j *joined) short(signature string, in *goFile) string {
	names := map[string]string{}
	for _, rpc := range j.service.Methods {
		names[rpc.Input.Go.Path], names[rpc.Output.Go.Path] = rpc.Input.Go.Name, rpc.Output.Go.Name
	}
	for _, pkg := range []model.GoPackage{j.service.Package.Messages, j.service.Package.Events} {
		names[pkg.Path] = pkg.Name
	}
	for _, spec := range in.syntax.Imports {
		if spec.Name != nil {
			names[importPathOf(spec)] = spec.Name.Name
		}
	}
	return "func" + qualified.ReplaceAllStringFunc(signature, func(text string) string {
		parts := qualified.FindStringSubmatch(text)
		return cmp.Or(names[parts[1]], path.Base(parts[1])) + "." + parts[2]
	})
}

// unserved returns a line for each service of a program that its main does not
// serve, or whose consumer it does not run. If main serves none, it may leave
// that to another package, and there is no line.
func (m *Module) unserved(program *model.Program) (lines []string) {
	main := m.folder(program.ServerDir())
	if main.err != nil {
		return []string{fmt.Sprintf("%v: it is not known whether the program in %s serves all services", main.err, main.dir)}
	}
	calls := m.calls(main.dir)
	var served, unserved, consuming []*model.Service
	for _, pkg := range program.Packages {
		for _, service := range pkg.Services {
			switch {
			case m.joined[service].movedFrom() != "" || m.joined[service].renamedFrom != "":
				served = append(served, service) // or will be, when its owner has done what another line says
			case len(calls[pkg.Server.Path+"."+service.Func]) > 0:
				served = append(served, service)
				if j := m.joined[service]; j.impl != nil && service.Code.Consumes {
					consuming = append(consuming, service)
				}
			case len(calls[strconv.Quote(service.FullName)]) == 0: // as of server.Without
				unserved = append(unserved, service)
			}
		}
	}
	run := calls[program.Module.Runtime+"/server.Run"]
	if len(served) == 0 && len(run) == 0 {
		return nil
	}
	at := main.dir
	if len(run) > 0 {
		at = run[0]
	}
	taken := main.identifiers()
	for _, service := range unserved {
		lines = append(lines, fmt.Sprintf("%s: %s is not served: %s to server.Run, or server.Without(%q)",
			at, service, passed(service, taken), service.FullName))
	}
	for _, service := range consuming {
		if len(calls["."+service.ConsumeName()]) < len(consuming) && !calls.names(service) {
			lines = append(lines, fmt.Sprintf("%s: %s of %s is not run, so nothing handles the stored events: pass server.Alongside(%q, ….%[2]s) to server.Run, or delete the method",
				at, service.ConsumeName(), service, "consumer "+service.FullName))
		}
	}
	return lines
}

// removedServices returns a line for each place in code of yours that implements
// or serves a service that is no longer in the protos, by the leftovers of it.
func (m *Module) removedServices(leftovers []File) (lines []string) {
	for _, file := range leftovers {
		dir := path.Dir(file.Path)
		text, _ := m.read(file.Path)
		service, ok := strings.CutPrefix(sourceOf(text).element, "service ")
		if !ok || path.Ext(file.Path) != ".go" || model.WithoutRole(dir) == "" || dir != model.ServerBeside(dir) {
			continue
		}
		made, err := parseGo(file.Path, text)
		if err != nil {
			continue
		}
		mains, _ := m.files("cmd/*-server")
		for _, main := range mains {
			for name := range made.names() {
				for _, at := range m.calls(main)[m.path+"/"+dir+"."+name] {
					lines = append(lines, fmt.Sprintf("%s: service %s is no longer in the protos: stop serving it", at, service))
				}
			}
		}
		name := protoreflect.FullName(service)
		if m.isRenamed(model.ImplDir(name)) {
			continue
		}
		for what, at := range m.calls(model.ImplDir(name)) {
			if strings.HasSuffix(what, ".Unimplemented"+string(name.Name())+"Server") {
				lines = append(lines, fmt.Sprintf("%s: service %s is no longer in the protos, and nothing calls its implementation: delete it, or move what it does", at[0], service))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// passed returns what to pass to server.Run, so that one implementation serves the RPCs
// and handles the stored events. It has a name that is not taken in main, and takes it:
// a run may not know the services that main serves beside it.
func passed(service *model.Service, taken names) string {
	serve := fmt.Sprintf("%s.%s(", service.Package.Server.Name, service.Func)
	if !consumes(service) {
		return "pass " + serve + madeBy(service) + ")"
	}
	made := service.Variable
	for i := 2; taken[made]; i++ {
		made = fmt.Sprint(service.Variable, i)
	}
	taken[made] = true
	return fmt.Sprintf("write %s := %s, and pass %s%s) and %s", made, madeBy(service), serve, made, consumer(service, made))
}

// consumes reports whether main can run a consumer of a service.
func consumes(service *model.Service) bool {
	code := service.Code
	return code.Consumes && (code.New == "" || code.Made != "") // else New returns an interface that has no such method
}

// consumer returns the option of server.Run that runs the consumer of an implementation.
func consumer(service *model.Service, implementation string) string {
	return fmt.Sprintf("server.Alongside(%q, %s.%s)", "consumer "+service.FullName, implementation, service.ConsumeName())
}

// madeBy returns the expression by which main makes an implementation.
func madeBy(service *model.Service) string {
	made, log := service.Code.New, ""
	if service.Code.TakesLog {
		log = service.Package.Events.Name + ".New(log)"
	}
	if made == "" {
		made, log = "New", "…"
	}
	return fmt.Sprintf("%s.%s(%s)", path.Base(service.Impl().Path), made, log)
}

// calls are what files mention of other packages, as import path and name, of
// anything else, as a dot and a name, and their string literals: where each is.
type calls map[string][]string

// calls returns what the files in a folder mention that are not tests.
func (m *Module) calls(dir string) calls {
	all := calls{}
	for _, file := range m.folder(dir).files {
		if !file.test {
			all.add(file)
		}
	}
	return all
}

func (c calls) add(file *goFile) {
	ast.Inspect(file.syntax, func(node ast.Node) bool {
		what := ""
		switch node := node.(type) {
		case *ast.SelectorExpr:
			name, ok := node.X.(*ast.Ident)
			if ok && file.imports[name.Name] != "" {
				what = file.imports[name.Name]
			}
			what += "." + node.Sel.Name
		case *ast.BasicLit:
			what = node.Value
		default:
			return true
		}
		c[what] = append(c[what], file.place(node))
		return true
	})
}

// names reports whether a string literal names a service.
func (c calls) names(service *model.Service) bool {
	for what := range c {
		if strings.HasPrefix(what, `"`) && slices.Contains(strings.Fields(strings.Trim(what, `"`)), service.FullName) {
			return true
		}
	}
	return false
}
