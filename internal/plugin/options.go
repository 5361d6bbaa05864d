package plugin

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/module"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"
)

// Options are the parameters of a run, as protoc and buf hand them over: a list
// of name=value, separated by commas.
type Options struct {
	// Root is the folder of the module's go.mod. What is generated is relative
	// to it, so it must be the plugin's output folder, too.
	Root string
	// Runtime is the import path of the runtime. If empty it is copied into
	// the module.
	Runtime string
	// Scaffold is ScaffoldNew or ScaffoldAll.
	Scaffold string
	// Events says what is read to find the RPCs that take events: one of
	// model.EventsAuto, EventsNames and EventsOff.
	Events string
	// Check has the run fail if it would write anything, and write nothing.
	Check bool
	// Engines are those of the event log that the copy of the runtime has.
	Engines []string
	// Templates is a folder of templates that are laid over ours, relative to
	// the working folder; "" for none.
	Templates string

	// protogen are the options paths, module and M…, which protogen reads.
	protogen []string
}

// Values of [Options.Scaffold].
const (
	ScaffoldNew = "new" // files of yours are written for what is new
	ScaffoldAll = "all" // and for what is not, if they were deleted
)

// option is a row of the table that parsing, errors, help and README are made of.
type option struct {
	usage string // its name and what it takes: the default first, or a word in capitals
	doc   string
	set   func(o *Options, part, value string) (valid bool)
}

var options = []option{
	{"root=DIR", "the folder of the module's go.mod, if it is not the current one; the output must be that same folder",
		func(o *Options, _, value string) bool {
			o.Root = value
			return true
		}},
	{"events=auto|names|off", "how to find the RPCs that take events: by names and by comments, by names alone, or not at all",
		func(o *Options, _, value string) bool {
			o.Events = value
			return slices.Contains([]string{model.EventsAuto, model.EventsNames, model.EventsOff}, value)
		}},
	{"scaffold=new|all", "all also writes your files again if they were deleted",
		func(o *Options, _, value string) bool {
			o.Scaffold = value
			return value == ScaffoldNew || value == ScaffoldAll
		}},
	{"check=false|true", "true writes nothing, and fails with a list if a run would write anything",
		func(o *Options, _, value string) (valid bool) {
			var err error
			o.Check, err = strconv.ParseBool(value)
			return err == nil
		}},
	{"templates=DIR", "lays a folder of your templates over ours",
		func(o *Options, _, value string) bool {
			o.Templates = value
			return true
		}},
	{"engines=sqlite+nats|sqlite", "sqlite leaves NATS JetStream out of the module, and out of its go.mod",
		func(o *Options, _, value string) bool {
			o.Engines = strings.Split(value, "+")
			return slices.Contains([]string{"sqlite+nats", "nats+sqlite", "sqlite"}, value)
		}},
	{"runtime=IMPORT/PATH", "imports the runtime from there instead of copying it into the module",
		func(o *Options, _, value string) bool {
			o.Runtime = value
			return true
		}},
	{"paths=import|source_relative", asProtocGenGo, func(o *Options, part, value string) bool {
		o.protogen = append(o.protogen, part)
		return value == "import" || value == "source_relative"
	}},
	{"module=PATH", asProtocGenGo, func(o *Options, part, _ string) bool {
		o.protogen = append(o.protogen, part)
		return true
	}},
	{mapping + "FILE.proto=IMPORT/PATH", asProtocGenGo, func(o *Options, part, _ string) bool {
		o.protogen = append(o.protogen, part)
		return true
	}},
}

const (
	asProtocGenGo = "as protoc-gen-go takes it"
	mapping       = "M" // begins an option that has the name of a proto file in its own
)

// ParseOptions reads a parameter. An option that is unknown or wrong is an
// error that names it, and what there is.
func ParseOptions(parameter string) (Options, error) {
	o := Options{Root: ".", Scaffold: ScaffoldNew, Events: model.EventsAuto, Engines: runtime.Engines}
	for part := range strings.SplitSeq(parameter, ",") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		i := slices.IndexFunc(options, func(one option) bool { return one.is(name) })
		switch {
		case i < 0:
			return o, fmt.Errorf("option %q is unknown: want one of %s", part, usages())
		case value == "":
			return o, fmt.Errorf("option %q has no value: want %s", part, options[i].usage)
		case !options[i].set(&o, part, value):
			return o, fmt.Errorf("option %q: want %s", part, options[i].usage)
		}
	}
	if err := module.CheckImportPath(o.Runtime); o.Runtime != "" && err != nil {
		return o, fmt.Errorf("option %q: %w", "runtime="+o.Runtime, err)
	}
	return o, nil
}

// is reports whether an option has a name.
func (o option) is(name string) bool {
	own, _, _ := strings.Cut(o.usage, "=")
	if strings.HasPrefix(own, mapping) {
		return strings.HasPrefix(name, mapping) && name != mapping
	}
	return own == name
}

// usages lists the options.
func usages() string {
	list := make([]string, len(options))
	for i, one := range options {
		list[i] = one.usage
	}
	return strings.Join(list, ", ")
}

// OptionHelp returns the list of options as the command help prints it.
func OptionHelp() string {
	const indent, width = "      ", 80
	var text strings.Builder
	for _, one := range options {
		fmt.Fprintf(&text, "  %s\n", one.usage)
		line := ""
		for word := range strings.FieldsSeq(one.doc) {
			if line != "" && len(indent+line+" "+word) > width {
				text.WriteString(indent + line + "\n")
				line = ""
			}
			line = strings.TrimSpace(line + " " + word)
		}
		text.WriteString(indent + line + "\n")
	}
	return text.String()
}

// OptionTable returns the list of options as a table of Markdown.
func OptionTable() string {
	var text strings.Builder
	text.WriteString("| option | what it does |\n|---|---|\n")
	for _, one := range options {
		fmt.Fprintf(&text, "| `%s` | %s |\n", strings.ReplaceAll(one.usage, "|", `\|`), one.doc)
	}
	return text.String()
}

// GoPackage returns the import path of a file's messages: by an option M, else by
// its go_package.
func (o Options) GoPackage(file *descriptorpb.FileDescriptorProto) string {
	goPackage := file.GetOptions().GetGoPackage()
	for _, option := range o.protogen {
		if mapped, found := strings.CutPrefix(option, mapping+file.GetName()+"="); found {
			goPackage = mapped
		}
	}
	importPath, _, _ := strings.Cut(goPackage, ";")
	return importPath
}

// ForGo returns the options for another plugin made with protogen: its own, the
// options M that it must share, and the module, unless one of them is about paths.
func (o Options) ForGo(modulePath string, own []string) []string {
	all := slices.Clone(own)
	placed := false
	for _, option := range slices.Concat(o.protogen, own) {
		placed = placed || strings.HasPrefix(option, "paths=") || strings.HasPrefix(option, "module=")
	}
	for _, option := range o.protogen {
		if !slices.Contains(own, option) {
			all = append(all, option)
		}
	}
	if !placed {
		all = append(all, "module="+modulePath)
	}
	return all
}
