package plugin

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"google.golang.org/protobuf/types/pluginpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// Explain writes how each RPC of a request was read, and which files a run would
// make, whatever is on disk. Where a run would end with an error, it returns that
// error, after it wrote what could be read.
func Explain(request *pluginpb.CodeGeneratorRequest, out io.Writer) (*Result, error) {
	options, err := ParseOptions(request.GetParameter())
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	gomod, target, err := read(request, options)
	if err != nil && !hasServices(request) {
		return &Result{Options: options, GoMod: gomod, Skipped: err}, nil
	}
	if target != nil {
		explainServices(&text, target)
	}
	var result *Result
	if err == nil {
		files, unmade := made(target, options)
		if unmade == nil {
			explainFiles(&text, files)
		}
		result, err = Run(request)
		err = cmp.Or(err, unmade)
	}
	_, unwritten := io.WriteString(out, text.String())
	return result, cmp.Or(err, unwritten)
}

func explainServices(out *strings.Builder, target *model.Module) {
	for _, pkg := range target.Packages {
		for _, service := range pkg.Services {
			fmt.Fprintf(out, "service %s, implemented in %s\n", service.FullName, service.Impl().Dir)
			for _, method := range service.Methods {
				explainMethod(out, method)
			}
			out.WriteString("\n")
		}
		for _, event := range pkg.EventTypes {
			explainEvent(out, event)
		}
	}
}

func explainMethod(out *strings.Builder, method *model.Method) {
	fmt.Fprintf(out, "  %s: rpc %s %s: %s\n", method.At, method.ProtoName, model.Does(method.Kind), method.Why)
	if method.Event != nil {
		fmt.Fprintf(out, "    event %s\n", method.Event.FullName)
	}
	if method.Kind == model.Tail {
		fmt.Fprintf(out, "    starts after the position in %s, with what was stored since %s\n",
			fieldName(method.From.Position), fieldName(method.From.Time))
	}
	if ignored := method.Ignored(); len(ignored) > 0 {
		fmt.Fprintf(out, "    ignores %s in the request\n", fieldNames(ignored))
	}
	if filled := method.Filled(); len(filled) > 0 {
		fmt.Fprintf(out, "    fills in %s of the reply\n", fieldNames(filled))
	}
	fmt.Fprintf(out, "    yours: %s.go, %s_test.go\n", path.Join(method.Service.Impl().Dir, method.File), method.File)
}

func fieldNames(fields []*model.Field) string {
	names := make([]string, len(fields))
	for i, field := range fields {
		names[i] = field.ProtoName
	}
	return strings.Join(names, ", ")
}

func fieldName(field *model.Field) string {
	if field == nil {
		return "(no field)"
	}
	return field.ProtoName
}

func explainEvent(out *strings.Builder, event *model.Event) {
	fmt.Fprintf(out, "event %s (%s): %s\n", event.FullName, event.At, event.Why)
	if len(event.Was) > 0 {
		fmt.Fprintf(out, "  was      %s: what is stored under that is read, too\n", strings.Join(event.Was, ", "))
	}
	var when *model.Role
	if event.Time != nil {
		when = &event.Time.Role
	}
	for _, row := range []struct {
		name, none string
		role       *model.Role
	}{
		{"id", "what is sent with the call", event.ID},
		{"source", "empty", event.Source},
		{"type", event.FullName, event.Type},
		{"subject", "empty", event.Subject},
		{"time", "when it is stored", when},
		{"data", "the whole message", event.Data},
	} {
		if row.role == nil {
			fmt.Fprintf(out, "  %-8s no field: %s\n", row.name, row.none)
			continue
		}
		unit := ""
		if row.name == "time" && event.Time.Unit != "" {
			unit = ", in units of " + event.Time.Unit
		}
		fmt.Fprintf(out, "  %-8s %s, %s%s\n", row.name, row.role.Path(), row.role.Why, unit)
	}
	out.WriteString("\n")
}

// made returns the outputs of a module, without those that its templates leave out,
// and with the copy of the runtime.
func made(target *model.Module, options Options) ([]keep.Output, error) {
	tree, err := tree(options.Templates)
	if err != nil {
		return nil, err
	}
	all, err := outputs(target, tree)
	var made []keep.Output
	var files []keep.File
	for _, output := range all {
		text, wrong := output.Render()
		err = errors.Join(err, wrong)
		if text != nil {
			made, files = append(made, output), append(files, keep.File{Path: output.Path, Content: text})
		}
	}
	if err != nil || !target.Copied || len(target.Packages) == 0 {
		return made, err
	}
	part, err := reached(target, files, nil)
	if err != nil {
		return nil, err
	}
	copied, err := copies(target, part)
	return append(made, copied...), err
}

func explainFiles(out *strings.Builder, files []keep.Output) {
	fmt.Fprintf(out, "files (yours are written once, ours on every run)\n")
	copied := 0
	for _, file := range files {
		if strings.HasPrefix(file.Path, model.RuntimeDir+"/") {
			copied++
			continue
		}
		fmt.Fprintf(out, "  %-5s %s\n", file.Owner, file.Path)
	}
	if copied > 0 {
		fmt.Fprintf(out, "  %-5s %s: %d files\n", keep.Ours, model.RuntimeDir, copied)
	}
}
