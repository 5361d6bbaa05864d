package model

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/mod/module"
)

// Project is what the command new makes: a module around a proto, before anything is
// generated.
type Project struct {
	Path      string // its module path, as in go.mod
	Name      string // what it is called in text: "orders"
	Go        string // the version in go.mod: "1.26.0"
	Protos    string // folder of its protos: "proto"
	Proto     string // the proto of the service, below Protos: "orders/v1/orders.proto"
	Templates string // folder of its own templates; "" if it has none
	// Plugin is the command that runs protoc-gen-receiver: "go tool
	// protoc-gen-receiver" if that is a tool of the module.
	Plugin []string
	// Given reports whether the proto was there before. Else the next ones say what is
	// in the one to be written.
	Given bool

	Package   string // its proto package: "orders.v1"
	Service   string // "OrdersService"
	Event     string // the message that is an event: "Event"
	Marked    bool   // whether a comment must say that it is one, because its name does not end so
	GoPackage string // of the messages: "example.com/orders/gen/orders/v1;ordersv1"

	// The following are known once the proto is there.

	App    string // the name of its programs: "orders"
	Server string // the program that serves it: "orders-server"
	Client string // the program that calls it: "orders-client"
	Code   string // folder of its implementation: "internal/orders/v1/ordersservice"
	Send   string // a command that sends an event; "" if no RPC takes one
	Events bool   // whether an RPC takes events
}

// The variants of a project.
const (
	drafted = "drafted" // its proto is written by new
	given   = "given"   // its proto was there before
)

// Variant returns whether the proto is written or was there before.
func (p *Project) Variant(bool) string {
	if p.Given {
		return given
	}
	return drafted
}

// Traces returns none: what is on disk decides.
func (p *Project) Traces() []Trace { return nil }

// Record returns none: all files are written at once.
func (p *Project) Record() Trace { return Trace{} }

// Declared returns "": no proto declares a project.
func (p *Project) Declared() string { return "" }

func (p *Project) String() string { return "project " + p.Path }

// Generate returns the command that generates, below the module's folder.
func (p *Project) Generate() string {
	command := strings.Join(p.Plugin, " ") + " generate -I " + p.Protos
	if p.Templates != "" {
		command += " --receiver_opt=templates=" + p.Templates
	}
	return command
}

// IsTool reports whether protoc-gen-receiver is a tool of the module.
func (p *Project) IsTool() bool { return len(p.Plugin) > 1 }

// folder returns the folder of the proto, below that of all protos.
func (p *Project) folder() string { return path.Dir(p.Proto) }

// file returns the base name of the proto.
func (p *Project) file() string { return strings.TrimSuffix(path.Base(p.Proto), ".proto") }

var (
	goName    = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
	notInName = regexp.MustCompile(`[^a-z0-9]+`)
)

// Draft names a project after its service, or after the module if service is "". A
// service that does not end in Service gets this ending. The event is called Event if
// event is "". A name that would be refused later is an error, which says what to give.
func Draft(modulePath, service, event string) (*Project, error) {
	base, source := nameOfModule(modulePath), "after "+modulePath
	if service != "" {
		if !goName.MatchString(service) || service == "Service" {
			return nil, fmt.Errorf("--service %s: want the name of a service in capitals and small letters, such as %s", service, example(service))
		}
		source = "after --service " + service
		base = snake(strings.TrimSuffix(service, "Service"))
		service = strings.TrimSuffix(service, "Service") + "Service"
	} else {
		service = pascal(base) + "Service"
	}
	if event == "" {
		event = "Event"
	}
	if why := unusable(base); why != "" {
		return nil, fmt.Errorf("the service can't be called %s, %s: %s: name it with --service, such as --service Orders", base, source, why)
	}
	if !goName.MatchString(event) {
		return nil, fmt.Errorf("--event %s: want the name of a message in capitals and small letters, such as %s", event, cmp.Or(inPascal(event), "OrderPlaced"))
	}
	if slices.Contains(drafts, event) || strings.Contains(event, service) || strings.HasPrefix(service, event+"_") {
		return nil, fmt.Errorf("--event %s: the proto has another message of this name, or Go code has: give another one", event)
	}
	file := base
	if Constrained(file) {
		file += "_service"
	}
	return &Project{
		Path:      modulePath,
		Name:      strings.ReplaceAll(base, "_", "-"),
		Protos:    "proto",
		Proto:     path.Join(base, "v1", file+".proto"),
		Package:   base + ".v1",
		Service:   service,
		Event:     event,
		Marked:    !strings.HasSuffix(event, "Event"),
		GoPackage: path.Join(modulePath, "gen", base, "v1") + ";" + strings.ReplaceAll(base, "_", "") + "v1",
	}, nil
}

// Around names a project after its module, around a proto in the folder protos.
func Around(modulePath, protos, proto string) *Project {
	name := strings.ReplaceAll(nameOfModule(modulePath), "_", "-")
	return &Project{Path: modulePath, Name: name, Protos: protos, Proto: proto, Given: true}
}

// GoPackageFor returns a go_package in a module for a proto of the given name: beside
// others of its proto package, if it has one.
func GoPackageFor(modulePath, protoPackage, proto string) string {
	if protoPackage == "" {
		name := packageName(strings.TrimSuffix(path.Base(proto), ".proto")) + "pb"
		return path.Join(modulePath, "gen", notInGoName.ReplaceAllString(name, ""))
	}
	parts := strings.Split(protoPackage, ".")
	name := parts[len(parts)-1] + "pb"
	if versionOf(protoPackage) != "" {
		name = strings.Join(parts[len(parts)-2:], "")
	}
	return path.Join(modulePath, "gen", protoDir(protoPackage)) + ";" + notInGoName.ReplaceAllString(strings.ToLower(name), "")
}

var notInGoName = regexp.MustCompile(`[^a-z0-9]+`)

// drafts are the other messages of the proto that new writes.
var drafts = []string{
	"PublishRequest", "PublishResponse", "PublishBatchRequest", "PublishBatchResponse",
	"PublishStreamRequest", "PublishStreamResponse", "TailRequest", "TailResponse",
}

// nameOfModule returns a name for the service of a module, as protos spell it: my_app
// for example.com/my-app/v2.
func nameOfModule(modulePath string) string {
	if prefix, _, ok := module.SplitPathVersion(modulePath); ok {
		modulePath = prefix
	}
	name := strings.ToLower(path.Base(modulePath))
	for _, ending := range []string{".go", "-go", "_go"} {
		name = strings.TrimSuffix(name, ending)
	}
	for _, beginning := range []string{"go-", "go_", "go."} {
		name = strings.TrimPrefix(name, beginning)
	}
	name = strings.Trim(notInName.ReplaceAllString(name, "_"), "_")
	for _, ending := range []string{"_service", "_svc"} {
		name = strings.TrimSuffix(name, ending)
	}
	return name
}

// unusable returns why a name is not one for a proto package and its folders; "" if it
// is.
func unusable(name string) string {
	switch {
	case name == "":
		return "nothing is left of it"
	case !unicode.IsLower(rune(name[0])):
		return "it begins with a digit"
	case len(name) > 60:
		return "it is too long"
	case slices.Contains([]string{"internal", "vendor", "testdata"}, name):
		return "Go has a meaning for folders of this name"
	case devices.MatchString(name):
		return "Windows has no files of this name"
	}
	return ""
}

// example returns a name of a service that is like a refused one.
func example(service string) string {
	if name := inPascal(service); name != "Service" {
		return cmp.Or(name, "Orders")
	}
	return "Orders"
}

// inPascal spells words as the name of a service or message: OrderPlaced for
// order-placed; "" if nothing that can be a name is left of them.
func inPascal(words string) string {
	name := pascal(strings.Join(strings.FieldsFunc(words, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9')
	}), "_"))
	if !goName.MatchString(name) {
		return ""
	}
	return name
}

// pascal spells the name of a proto package as that of a message: MyApp for my_app.
func pascal(name string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}
