package plugin

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/module"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/spelling"
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
	// Comments is a file that says about elements of protos what comments there
	// would say, relative to Root; "" for none.
	Comments string
	// Check has the run fail if it would write anything, and write nothing.
	Check bool
	// Engines are those of the event log that the copy of the runtime has.
	Engines []string
	// Parts are those that the main of a new server has besides gRPC: some of
	// model.Parts.
	Parts []string
	// Program is the name of the one program that serves all services of the run; ""
	// for one for each proto package.
	Program string
	// NoPrograms leaves out the programs: whoever runs the services has a main.
	NoPrograms bool
	// NoDeploy leaves out what deploys the programs.
	NoDeploy bool
	// AllPublishers makes the packages of publishers that no code of the module imports, too.
	AllPublishers bool
	// Templates is a folder of templates that are laid over ours, relative to
	// the working folder; "" for none.
	Templates string

	// protogen are the options paths, module and M…, which protogen reads.
	protogen []string
	// levels are the options default_api_level and apilevelM…, which protogen
	// reads, too, but of the other plugins only protoc-gen-go needs.
	levels []string
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
	{"comments=FILE", "what comments can't say in protos of others, in a file below root: lines such as `acme.v1.Reading receiver:event` or `acme.v1.Reading.taken_at receiver:time`, with the full name of a message, a field or an RPC; it is also read with events=names",
		func(o *Options, _, value string) bool {
			o.Comments = value
			return true
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
	{"program=NAME", "makes one program of all services, `cmd/NAME-server` and `cmd/NAME-client`, instead of one of each proto package",
		func(o *Options, _, value string) bool {
			o.Program = value
			return programName.MatchString(value)
		}},
	{"programs=all|none", "none makes no `cmd/…-server` and `cmd/…-client`, for services that a main of yours serves",
		func(o *Options, _, value string) bool {
			o.NoPrograms = value == "none"
			return value == "all" || value == "none"
		}},
	{"deploy=all|none", "none makes no `deploy/…-server`: no Dockerfile, manifests, dashboard and alerts",
		func(o *Options, _, value string) bool {
			o.NoDeploy = value == "none"
			return value == "all" || value == "none"
		}},
	{"publisher=imported|all", "all also makes packages of publishers that no code of the module imports, for the code of others",
		func(o *Options, _, value string) bool {
			o.AllPublishers = value == "all"
			return value == "imported" || value == "all"
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
	{"parts=http+metrics+traces+sql+backup+bulk+console+client|none", "which of these the mains of a new server and client have; the lines in main decide afterwards",
		func(o *Options, _, value string) (valid bool) {
			if o.Parts = nil; value == "none" {
				return true
			}
			o.Parts = strings.Split(value, "+")
			return !slices.ContainsFunc(o.Parts, func(part string) bool { return !slices.Contains(model.Parts, part) })
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
	{"M" + anyProto + "=IMPORT/PATH", asProtocGenGo, func(o *Options, part, _ string) bool {
		o.protogen = append(o.protogen, part)
		return true
	}},
	{"default_api_level=" + levels, "as protoc-gen-go takes it; `generate` passes it on, protoc and buf must give it to both", setLevel},
	{"apilevelM" + anyProto + "=" + levels, asProtocGenGo, setLevel},
}

func setLevel(o *Options, part, value string) bool {
	o.levels = append(o.levels, part)
	return slices.Contains(strings.Split(levels, "|"), value)
}

var programName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

const (
	asProtocGenGo = "as protoc-gen-go takes it"
	anyProto      = "FILE.proto" // ends the name of an option that has the name of a proto file in its own
	levels        = "API_OPEN|API_HYBRID|API_OPAQUE"
)

// Meant returns the usage of the option whose name is most similar to another, or "".
func Meant(name string) string {
	usages := map[string]string{}
	for _, one := range options {
		known, _, _ := strings.Cut(one.usage, "=")
		usages[known] = one.usage
	}
	return usages[spelling.Nearest(name, slices.Sorted(maps.Keys(usages)))]
}

// OptionError is the error of an option that is unknown or wrong.
type OptionError struct{ text string }

func (e *OptionError) Error() string { return e.text }

func wrongOption(format string, args ...any) error {
	return &OptionError{fmt.Sprintf(format, args...)}
}

// ParseOptions reads a parameter. An option that is unknown or wrong is an
// [OptionError] that names it, and what there is.
func ParseOptions(parameter string) (Options, error) {
	o := Options{Root: ".", Scaffold: ScaffoldNew, Events: model.EventsAuto, Engines: runtime.Engines, Parts: model.Parts}
	for part := range strings.SplitSeq(parameter, ",") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		i := slices.IndexFunc(options, func(one option) bool { return one.is(name) })
		switch {
		case i < 0:
			want := "want one of " + usages()
			if near := Meant(name); near != "" {
				want = "did you mean " + near + "?"
			}
			if slices.Contains(model.Parts, part) {
				want = "parts are joined by +, as in parts=" + strings.Join(model.Parts, "+")
			} else if slices.Contains(runtime.Engines, part) {
				want = "engines are joined by +, as in engines=" + strings.Join(runtime.Engines, "+")
			}
			return o, wrongOption("option %q is unknown: %s", part, want)
		case value == "":
			return o, wrongOption("option %q has no value: want %s", part, options[i].usage)
		case !options[i].set(&o, part, value):
			return o, wrongOption("option %q: want %s", part, options[i].usage)
		}
	}
	if err := module.CheckImportPath(o.Runtime); o.Runtime != "" && err != nil {
		return o, wrongOption("option %q: %v", "runtime="+o.Runtime, err)
	}
	if o.NoPrograms && o.Program != "" {
		return o, fmt.Errorf("option %q: with programs=none there is no program; remove one of the two", "program="+o.Program)
	}
	return o, nil
}

// is reports whether an option has a name.
func (o option) is(name string) bool {
	own, _, _ := strings.Cut(o.usage, "=")
	if prefix, ok := strings.CutSuffix(own, anyProto); ok {
		return strings.HasPrefix(name, prefix) && name != prefix
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

// OptionUsage is how an option is written, and what it does.
type OptionUsage struct{ Usage, Doc string }

// OptionUsages returns all options.
func OptionUsages() []OptionUsage {
	list := make([]OptionUsage, len(options))
	for i, one := range options {
		list[i] = OptionUsage{one.usage, one.doc}
	}
	return list
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

// marks reads the file of the option comments.
func (o Options) marks() ([]model.Mark, error) {
	if o.Comments == "" {
		return nil, nil
	}
	if o.Events == model.EventsOff {
		return nil, fmt.Errorf("option %q: with events=off nothing is read that says which RPCs take events; remove one of the two", "comments="+o.Comments)
	}
	text, err := os.ReadFile(o.CommentsFile())
	if err != nil {
		return nil, fmt.Errorf("option %q: %w", "comments="+o.Comments, err)
	}
	return model.ParseMarks(o.Comments, string(text))
}

// CommentsFile returns the path of the file of the option comments.
func (o Options) CommentsFile() string {
	at := filepath.FromSlash(o.Comments)
	if filepath.IsAbs(at) {
		return at
	}
	return filepath.Join(o.Root, at)
}

// GoPackage returns the import path of a file's messages: by an option M, else by
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

// APILevels returns the options by which protoc-gen-go chooses the API of messages.
func (o Options) APILevels() []string { return o.levels }
