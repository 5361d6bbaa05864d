package fuzz

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/token"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go/types"

	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/module"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
)

// outcome is the result for an input.
type outcome struct {
	skipped string   // why the protos do not compile, or ""
	refused string   // the plugin's error, or ""
	theirs  []string // errors in the code of other plugins, without ours
	faults  []string // errors in our code
	files   int
}

func (o *outcome) fault(format string, args ...any) {
	o.faults = append(o.faults, fmt.Sprintf(format, args...))
}

// try runs the plugin on an input, and checks the response. The folder must be empty.
func try(in input, root string) (o outcome, err error) {
	protos := filepath.Join(root, "proto")
	for _, file := range in.files {
		if err := write(filepath.Join(protos, file.name), file.text.String()); err != nil {
			return o, err
		}
	}
	request, err := compile.Request(context.Background(), []string{protos}, in.generate)
	if err != nil {
		o.skipped = err.Error()
		return o, nil
	}
	root = filepath.Join(root, "module")
	if err := write(filepath.Join(root, "go.mod"), "module "+in.module+"\n\ngo 1.26\n"); err != nil {
		return o, err
	}
	request.Parameter = proto.String(in.parameter + ",root=" + root + ",runtime=" + runtime.Path)
	response := plugin.Respond(request, func(line string) {
		if !expected(line) {
			o.fault("it prints an unexpected line: %s", line)
		}
	})
	if _, err := plugin.Explain(request, io.Discard); (err != nil) != (response.GetError() != "") {
		o.fault("the error of explain is %v, that of generate %q", err, response.GetError())
	}
	if response.GetError() != "" {
		o.refused = response.GetError()
		o.checkError(o.refused)
		return o, nil
	}
	o.files = len(response.File)
	if o.files == 0 {
		return o, nil
	}
	if err := o.again(request, response, root); err != nil {
		return o, err
	}
	code, err := newModule(in.module)
	if err != nil {
		return o, err
	}
	if err := addTheirs(code, request); err != nil {
		o.theirs = append(o.theirs, err.Error())
		return o, nil
	}
	o.theirs = theirFaults(code)
	messages := filesByPackage(code)
	o.paths(in.module, messages, response)
	if len(o.theirs) == 0 {
		o.code(code, response)
	}
	o.theirs = append(o.theirs, code.ignored...)
	return o, nil
}

func write(at, text string) error {
	if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		return err
	}
	return os.WriteFile(at, []byte(text), 0o644)
}

var positioned = regexp.MustCompile(`^[^:]+\.proto:[1-9][0-9]*:[1-9][0-9]*: \S`)

// checkError checks that each line of an error has a position in a proto.
func (o *outcome) checkError(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		if !positioned.MatchString(line) {
			o.fault("an error without a position: %s", line)
		}
	}
}

// again writes the files and runs the plugin again. It checks that files of ours are the
// same, and that there are none of yours.
func (o *outcome) again(request *pluginpb.CodeGeneratorRequest, first *pluginpb.CodeGeneratorResponse, root string) error {
	ours := map[string]string{}
	for _, file := range first.File {
		if err := write(filepath.Join(root, filepath.FromSlash(file.GetName())), file.GetContent()); err != nil {
			o.fault("a file that can't be written: %v", strings.ReplaceAll(err.Error(), root, ""))
			return nil
		}
		if err := parses(file.GetName(), file.GetContent()); err != nil {
			o.fault("%s is not what its name says: %v\n%s", file.GetName(), err, file.GetContent())
		}
		if keep.Marked(file.GetName(), []byte(file.GetContent())) {
			ours[file.GetName()] = file.GetContent()
		}
	}
	second := plugin.Respond(request, func(line string) {
		if !expected(line) || strings.Contains(line, "takes events. The nearest is ") { // which is reported when a service is new
			o.fault("the second time it prints an unexpected line: %s", line)
		}
	})
	if second.GetError() != "" {
		o.fault("the second time there is an error: %s", second.GetError())
	}
	for _, file := range second.File {
		switch before, ok := ours[file.GetName()]; {
		case !ok:
			o.fault("the second time there is a file of yours: %s", file.GetName())
		case before != file.GetContent():
			o.fault("the second time there is another %s", file.GetName())
		}
		delete(ours, file.GetName())
	}
	for name := range ours {
		o.fault("the second time there is no %s", name)
	}
	return nil
}

// parses returns the error of a file that is in JSON or YAML by its name.
func parses(name, text string) error {
	var into any
	switch path.Ext(name) {
	case ".json":
		return json.Unmarshal([]byte(text), &into)
	case ".yaml":
		documents := yaml.NewDecoder(strings.NewReader(text))
		for {
			if err := documents.Decode(&into); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

func newModule(modulePath string) (*goModule, error) {
	std, err := library()
	return &goModule{
		path: modulePath, fset: token.NewFileSet(), files: map[string]map[string]*goFile{}, std: std,
		checked: map[string]*types.Package{}, wrong: map[string][]error{},
	}, err
}

// theirFaults returns Go's errors in the messages and stubs, without our code.
func theirFaults(code *goModule) (faults []string) {
	for _, importPath := range code.order {
		for _, imported := range imports(code.files[importPath]) {
			if hidden(importPath, imported) {
				faults = append(faults, fmt.Sprintf("%s may not import %s", importPath, imported))
			}
		}
		if names := packageNames(code.files[importPath]); len(names) > 1 {
			faults = append(faults, fmt.Sprintf("packages %q in one folder", names))
		}
	}
	wrong := code.typeCheck(code.order)
	for _, importPath := range sorted(wrong) {
		for _, err := range wrong[importPath] {
			faults = append(faults, err.Error())
		}
	}
	return faults
}

// filesByPackage returns the names of the files in each package so far.
func filesByPackage(code *goModule) map[string][]string {
	all := map[string][]string{}
	for importPath, files := range code.files {
		all[importPath] = sorted(files)
	}
	return all
}

// paths checks where files are put.
func (o *outcome) paths(modulePath string, messages map[string][]string, response *pluginpb.CodeGeneratorResponse) {
	at := map[string]string{} // the keys are in lower case, because some disks ignore case
	dirs := map[string]string{}
	add := func(name string) {
		folded := strings.ToLower(name)
		if other, ok := at[folded]; ok {
			o.fault("two files have the same path: %s and %s", other, name)
		}
		at[folded] = name
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if other, ok := dirs[strings.ToLower(dir)]; ok && other != dir {
				o.fault("two folders have the same path: %s and %s", other, dir)
			}
			dirs[strings.ToLower(dir)] = dir
		}
	}
	var theirs []string // folders that the protos chose
	for _, importPath := range sorted(messages) {
		if dir, ok := strings.CutPrefix(importPath+"/", modulePath+"/"); ok {
			theirs = append(theirs, dir)
			for _, name := range messages[importPath] {
				if name = path.Join(dir, name); !strings.HasPrefix(name, "..") {
					add(name)
				}
			}
		}
	}
	for _, file := range response.File {
		name := file.GetName()
		add(name)
		rest := name
		for _, dir := range theirs {
			if tail, ok := strings.CutPrefix(name, dir); ok && len(tail) < len(rest) {
				rest = tail
			}
		}
		o.path(name, rest)
		if !forGo(name) {
			continue
		}
		if o.build(name, file.GetContent()); path.Ext(name) != ".go" {
			o.fault("a file of another kind: %s", name)
		}
	}
	for folded, name := range at {
		if dir, ok := dirs[folded]; ok {
			o.fault("a file and a folder have the same path: %s and %s", name, dir)
		}
	}
}

// isSample reports whether a file is a request that tests send.
func isSample(name string) bool {
	return path.Base(path.Dir(name)) == "testdata" && path.Ext(name) == ".json"
}

// forGo reports whether a file is one of Go code: not a record, a sample, nor one that
// deploys a program.
func forGo(name string) bool {
	return path.Dir(name) != model.RecordDir && !isSample(name) && (!strings.HasPrefix(name, "deploy/") || path.Ext(name) == ".go")
}

// path checks a path. rest is the part that does not come from the protos.
func (o *outcome) path(name, rest string) {
	if err := module.CheckFilePath(rest); err != nil {
		o.fault("a bad path: %v", err)
	}
	if dir := path.Dir(rest); dir != "." {
		if err := module.CheckImportPath("example.com/" + dir); err != nil {
			o.fault("a bad import path: %v", err)
		}
	}
	for element := range strings.SplitSeq(rest, "/") {
		if strings.HasPrefix(element, "_") || strings.HasPrefix(element, ".") || element == "testdata" && !isSample(name) || element == "vendor" {
			o.fault("Go passes over %s, by its %s", name, element)
		}
	}
	for element := range strings.SplitSeq(name, "/") {
		if len(element) > 255 {
			o.fault("an element of %d bytes in %s", len(element), name)
		}
	}
}

func (o *outcome) build(name, text string) {
	base := path.Base(name)
	if !kept(base, text) {
		o.fault("a build passes over %s", name)
	}
	if constrained(base, text) {
		o.fault("a build elsewhere passes over %s", name)
	}
}

// code checks the content of the files.
func (o *outcome) code(code *goModule, response *pluginpb.CodeGeneratorResponse) {
	var made []string
	for _, file := range response.File {
		if !forGo(file.GetName()) {
			continue
		}
		importPath, name := path.Join(code.path, path.Dir(file.GetName())), path.Base(file.GetName())
		if code.checked[importPath] != nil {
			o.fault("%s joins a package of messages", file.GetName())
			return
		}
		if err := code.add(importPath, name, file.GetContent()); err != nil {
			o.fault("no Go: %v", err)
			return
		}
		if !slices.Contains(made, importPath) {
			made = append(made, importPath)
		}
	}
	for _, importPath := range made {
		files := code.files[importPath]
		if names := packageNames(files); len(names) != 1 || !token.IsIdentifier(names[0]) || names[0] == "_" || strings.HasSuffix(names[0], "_test") {
			o.fault("the packages in %s are %q", importPath, names)
		}
		for _, imported := range imports(files) {
			if hidden(importPath, imported) {
				o.fault("%s may not import %s", importPath, imported)
			}
			if err := module.CheckImportPath(imported); err != nil {
				o.fault("a bad import: %v", err)
			}
		}
		for _, name := range sorted(files) {
			o.tests(importPath, name, files[name].parsed)
		}
		o.commands(importPath, files)
	}
	wrong := code.typeCheck(made)
	for _, importPath := range sorted(wrong) {
		for i, err := range wrong[importPath] {
			if i < 5 {
				o.fault("%v", err)
			}
		}
	}
}

// tests checks that what looks like a test is one, and is in a test file.
func (o *outcome) tests(importPath, name string, file *ast.File) {
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") || !strings.HasSuffix(name, "_test.go") {
			continue
		}
		after, _ := utf8.DecodeRuneInString(strings.TrimPrefix(f.Name.Name, "Test"))
		if unicode.IsLower(after) || f.Name.Name == "TestMain" {
			o.fault("%s in %s/%s is not a test", f.Name.Name, importPath, name)
		}
	}
}

// commands checks that a client's subcommands, and the flags of each, differ.
func (o *outcome) commands(importPath string, files map[string]*goFile) {
	if !strings.Contains(importPath, "/cmd/") || !strings.HasSuffix(importPath, "-client") {
		return
	}
	seen := map[string]bool{}
	for _, name := range sorted(files) {
		ast.Inspect(files[name].parsed, func(node ast.Node) bool {
			list, ok := node.(*ast.CompositeLit)
			if !ok {
				return true
			}
			service, command, flags := "", "", map[string]bool{}
			for _, element := range list.Elts {
				pair, ok := element.(*ast.KeyValueExpr)
				if !ok {
					continue
				}
				switch key := pair.Key.(*ast.Ident).Name; key {
				case "Service":
					service = literal(pair.Value)
				case "Name":
					command = literal(pair.Value)
				case "Flags":
					for _, flag := range pair.Value.(*ast.CompositeLit).Elts {
						name := literal(flag.(*ast.CompositeLit).Elts[0].(*ast.KeyValueExpr).Value)
						if flags[name] || name == "" || strings.HasPrefix(name, "-") || strings.ContainsAny(name, "= ") {
							o.fault("the flag %q of %s.%s", name, service, command)
						}
						flags[name] = true
					}
				}
			}
			if service != "" {
				if full := service + "." + command; seen[full] || command == "" || strings.HasPrefix(command, "-") {
					o.fault("two commands %q, or one that can't be called", full)
				} else {
					seen[full] = true
				}
			}
			return true
		})
	}
}

func literal(e ast.Expr) string {
	basic, ok := e.(*ast.BasicLit)
	if !ok {
		return ""
	}
	text, _ := strconv.Unquote(basic.Value)
	return text
}

func imports(files map[string]*goFile) (all []string) {
	for _, file := range files {
		for _, spec := range file.parsed.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			all = append(all, imported)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func packageNames(files map[string]*goFile) (names []string) {
	for _, file := range files {
		names = append(names, file.parsed.Name.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// expected reports whether a run may print a line: many go_packages are in other
// modules, and many messages are nearly events.
func expected(line string) bool {
	return strings.Contains(line, "its messages get no Go code") || strings.Contains(line, "takes no events: ") || strings.Contains(line, "takes events. The nearest is ")
}
