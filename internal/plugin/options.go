package plugin

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

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

// option is an option of ours by name: what it takes, and how it is set.
type option struct {
	name, takes string
	set         func(o *Options, value string) error
}

var options = []option{
	{"root", "the folder of go.mod, and of the output", func(o *Options, value string) error {
		o.Root = value
		return nil
	}},
	{"check", "true or false", func(o *Options, value string) error {
		check, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("want true or false")
		}
		o.Check = check
		return nil
	}},
	{"runtime", "an import path", func(o *Options, value string) error {
		if value == "" || path.Clean(value) != value || strings.HasPrefix(value, "/") || strings.HasPrefix(value, ".") {
			return fmt.Errorf("want an import path")
		}
		o.Runtime = value
		return nil
	}},
	{"scaffold", "new or all", func(o *Options, value string) error {
		if value != ScaffoldNew && value != ScaffoldAll {
			return fmt.Errorf("want new or all")
		}
		o.Scaffold = value
		return nil
	}},
	{"events", "auto, names or off", func(o *Options, value string) error {
		if value != model.EventsAuto && value != model.EventsNames && value != model.EventsOff {
			return fmt.Errorf("want auto, names or off")
		}
		o.Events = value
		return nil
	}},
	{"engines", "sqlite or sqlite+nats", func(o *Options, value string) error {
		o.Engines = strings.Split(value, "+")
		if value != "sqlite" && value != "sqlite+nats" && value != "nats+sqlite" {
			return fmt.Errorf("want sqlite, which tests use and the server unless told otherwise, or sqlite+nats")
		}
		return nil
	}},
	{"templates", "a folder of templates", func(o *Options, value string) error {
		o.Templates = value
		return nil
	}},
}

// ofProtogen are the options that protogen reads; M comes with a file's name.
var ofProtogen = []string{"paths", "module", "M"}

// ParseOptions reads a parameter. An option that is unknown or wrong is an
// error that names it, and what there is.
func ParseOptions(parameter string) (Options, error) {
	o := Options{Root: ".", Scaffold: ScaffoldNew, Events: model.EventsAuto, Engines: runtime.Engines}
	for part := range strings.SplitSeq(parameter, ",") {
		if part == "" {
			continue
		}
		name, value, given := strings.Cut(part, "=")
		if slices.Contains(ofProtogen, name) || strings.HasPrefix(name, "M") {
			if !given || value == "" || name == "M" || name == "paths" && value != "import" && value != "source_relative" {
				return o, fmt.Errorf("option %q: %s", part, valid())
			}
			o.protogen = append(o.protogen, part)
			continue
		}
		i := slices.IndexFunc(options, func(one option) bool { return one.name == name })
		if i < 0 {
			return o, fmt.Errorf("option %q is unknown: %s", part, valid())
		}
		if !given || value == "" {
			return o, fmt.Errorf("option %q has no value: %s", part, valid())
		}
		if err := options[i].set(&o, value); err != nil {
			return o, fmt.Errorf("option %q: %w", part, err)
		}
	}
	return o, nil
}

// valid lists the options.
func valid() string {
	list := []string{"paths=import or source_relative", "module=the module's path", "MFILE.proto=an import path"}
	for _, one := range options {
		list = append(list, one.name+"="+one.takes)
	}
	return "the options are " + strings.Join(list, "; ")
}

// GoPackage is the import path of a file's messages: by an option M, else by
// its go_package.
func (o Options) GoPackage(file *descriptorpb.FileDescriptorProto) string {
	goPackage := file.GetOptions().GetGoPackage()
	for _, option := range o.protogen {
		if mapped, found := strings.CutPrefix(option, "M"+file.GetName()+"="); found {
			goPackage = mapped
		}
	}
	importPath, _, _ := strings.Cut(goPackage, ";")
	return importPath
}

// ForGo are the options for another plugin made with protogen: its own, the
// options M that it must share, and the module, unless it is told of paths.
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
