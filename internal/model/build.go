package model

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/gofeaturespb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/compat"
)

// Build reads the services of the files to generate, and their events by what
// events says, and marks. A wrong proto is an error of type [Complaints], with all
// there is to complain about, beside what could be read.
func Build(module Module, plugin *protogen.Plugin, events string, marks ...Mark) (*Module, error) {
	module.protos = Protos{Files: map[string]Proto{}, Folders: map[string]bool{}}
	b := builder{
		plugin:   plugin,
		events:   events,
		module:   &module,
		packages: map[protogen.GoImportPath]*Package{},
		messages: map[protoreflect.FullName]*Message{},
		files:    map[string]bool{},
		claims:   map[string]protoreflect.Descriptor{},
		clashing: map[[2]protoreflect.Descriptor]bool{},
		outside:  map[protoreflect.FullName][]directive{},
		forced:   map[protoreflect.FullName]bool{},
		reading:  map[protoreflect.FullName]bool{},
	}
	files := slices.Clone(plugin.Files)
	slices.SortFunc(files, func(a, b *protogen.File) int { return cmp.Compare(a.Desc.Path(), b.Desc.Path()) })
	b.folders(files)
	if slices.ContainsFunc(files, func(file *protogen.File) bool { return file.Generate && len(file.Services) > 0 }) {
		b.ignored(files)
		b.linked(files)
	}
	b.identifiers(files)
	b.mark(marks)
	for _, file := range files {
		if file.Generate {
			for _, service := range file.Services {
				for _, method := range service.Methods {
					b.spread(method)
				}
			}
		}
	}
	for _, file := range files {
		if file.Generate && len(file.Services) > 0 {
			b.file(file)
		}
	}
	for _, file := range files {
		if file.Generate {
			b.protos(file)
			b.commentsOf(file)
		}
	}
	slices.SortFunc(b.module.Packages, func(a, b *Package) int { return cmp.Compare(a.Messages.Path, b.Messages.Path) })
	b.programs()
	b.formerNames()
	return b.module, b.complaints.err()
}

// folders claims the folders of the module that hold messages already, and
// refuses those that are the runtime's.
func (b *builder) folders(files []*protogen.File) {
	held := map[string]bool{}
	for _, file := range files {
		if dir, found := b.module.dir(string(file.GoImportPath)); found && !held[dir] {
			held[dir] = true
			if strings.HasPrefix(dir+"/", RuntimeDir+"/") {
				b.complaints.add(file.Desc, "%s belongs to the runtime, which is copied to %s: give the messages another go_package", dir, RuntimeDir)
			}
			b.claim(claimOfDir(dir), file.Desc, "package %s", string(file.GoImportPath))
		}
	}
}

// RuntimeDir is where the runtime is copied to; the hyphen keeps it out of the
// way of every proto package.
const RuntimeDir = "internal/receiver-runtime"

type builder struct {
	plugin     *protogen.Plugin
	events     string // what is read to find events
	module     *Module
	packages   map[protogen.GoImportPath]*Package
	messages   map[protoreflect.FullName]*Message
	files      map[string]bool                       // that are made already, without their endings
	claims     map[string]protoreflect.Descriptor    // what each name became
	outside    map[protoreflect.FullName][]directive // what marks state about elements
	forced     map[protoreflect.FullName]bool        // messages that the comment of an rpc makes events
	reading    map[protoreflect.FullName]bool        // messages that are being read as events
	clashing   map[[2]protoreflect.Descriptor]bool
	complaints Complaints
}

func (b *builder) file(file *protogen.File) {
	if b.events == EventsAuto && len(file.Proto.GetSourceCodeInfo().GetLocation()) == 0 {
		b.complaints.at(file.Proto, nil, "the request has no comments of this file, and some of them may say which RPCs take events: "+
			"pass them on, or have the plugin ignore them with events=names or events=off")
		return
	}
	pkg := b.packageOf(file)
	for _, service := range file.Services {
		pkg.Services = append(pkg.Services, b.service(pkg, service))
	}
}

// commentsOf complains about comments of a file's elements, also of those that no
// RPC takes: they were meant to be read.
func (b *builder) commentsOf(file *protogen.File) {
	for _, message := range file.Messages {
		b.comments(message)
	}
	if b.events == EventsAuto {
		b.misplaced(file)
	}
}

func (b *builder) comments(message *protogen.Message) {
	b.stance(message.Desc, message.Comments, onMessage, "event", "plain")
	b.former(message)
	for _, field := range message.Fields {
		b.directives(field.Desc, field.Comments, onField)
	}
	for _, inner := range message.Messages {
		b.comments(inner)
	}
}

// packageOf returns the package that a file belongs to. What is generated for it
// is beside its messages, or below gen if they belong to another module.
func (b *builder) packageOf(file *protogen.File) *Package {
	if pkg := b.packages[file.GoImportPath]; pkg != nil {
		return pkg
	}
	module, protoPackage := b.module, string(file.Desc.Package())
	messages := GoPackage{Path: string(file.GoImportPath), Name: string(file.GoPackageName)}
	base := base(messages.Name)
	dir, found := module.dir(messages.Path)
	if found {
		messages.Dir = dir
	} else {
		dir = b.foreignDir(path.Join("gen", protoDir(protoPackage)), base, messages.Path)
	}
	role := func(name string) GoPackage { return module.sub(path.Join(dir, base+name), base+name) }
	pkg := &Package{
		program:   b.program(file),
		dir:       dir,
		Proto:     protoPackage,
		Base:      base,
		Messages:  messages,
		Client:    role("client"),
		Server:    role("server"),
		Events:    role("events"),
		Publisher: role("publisher"),
		Test:      role("test"),
	}
	for _, made := range []GoPackage{pkg.Client, pkg.Server, pkg.Events, pkg.Publisher, pkg.Test} {
		b.claim(claimOfDir(made.Dir), file.Desc, "package %s", made.Path)
	}
	if !slices.ContainsFunc(b.module.Packages, func(other *Package) bool { return other.program == pkg.program }) {
		for _, side := range []string{"server", "client"} {
			dir := "cmd/" + pkg.program + "-" + side
			if b.holdsMessages(dir) {
				b.complaints.add(file.Desc, "the program of %s is generated in %s, where there is a package of messages: give those another go_package", named(file.Desc), dir)
			}
			b.claim(claimOfDir(dir), file.Desc, "package %s", path.Join(module.Path, dir))
		}
	}
	b.packages[file.GoImportPath] = pkg
	b.module.Packages = append(b.module.Packages, pkg)
	return pkg
}

// program returns the name of the program that serves the services of a file.
func (b *builder) program(file *protogen.File) string {
	return cmp.Or(b.module.OneProgram, program(string(file.Desc.Package()), file.Desc.Path()))
}

// foreignDir returns the folder of what is generated for a package of another
// module. Several Go packages may share a proto package: the second and later ones
// get the end of their import path added, as much of it as makes them differ.
func (b *builder) foreignDir(plain, base, importPath string) string {
	dir, parts := plain, strings.Split(importPath, "/")
	for n := 1; n <= len(parts) && b.claims[claimOfDir(path.Join(dir, base+"client"))] != nil; n++ {
		var end []string
		for _, part := range parts[len(parts)-n:] {
			end = append(end, dirName(short(part)))
		}
		dir = path.Join(plain, path.Join(end...))
	}
	return dir
}

// claimOfDir returns the name by which a folder is claimed, the same for all that
// a disk that ignores case takes for one.
func claimOfDir(dir string) string { return "dir " + strings.ToLower(dir) }

// programs puts the packages together that one program serves.
func (b *builder) programs() {
	for _, pkg := range b.module.Packages {
		i := slices.IndexFunc(b.module.Programs, func(p *Program) bool { return p.Name == pkg.program })
		if i < 0 {
			i = len(b.module.Programs)
			b.module.Programs = append(b.module.Programs, &Program{Module: b.module, Name: pkg.program})
		}
		pkg.Program = b.module.Programs[i]
		pkg.Program.Packages = append(pkg.Program.Packages, pkg)
	}
	for _, program := range b.module.Programs {
		taken := map[string]bool{}
		for _, pkg := range program.Packages {
			for _, service := range pkg.Services {
				service.Variable = free(variable(service.impl.Name), taken)
			}
		}
	}
}

// variable returns what main calls the implementation in a package: receiverService,
// and for package ordersservice ordersService, not ordersserviceService.
func variable(pkg string) string {
	if name := strings.TrimSuffix(pkg, "service"); name != "" {
		return name + "Service"
	}
	return pkg + "Service"
}

func (b *builder) service(pkg *Package, from *protogen.Service) *Service {
	b.directives(from.Desc, from.Comments, nil)
	options, _ := from.Desc.Options().(*descriptorpb.ServiceOptions)
	impl := b.impl(from)
	service := &Service{
		Package:    pkg,
		Name:       from.GoName,
		FullName:   string(from.Desc.FullName()),
		File:       b.stem(pkg.dir+" "+pkg.Base, from.GoName, "service", "client", "server", "log"),
		Commands:   b.stem("cmd/"+pkg.program, b.commands(pkg, from), "service"),
		Func:       unless(from.GoName, "Service"),
		Accessor:   unless(from.GoName, "Close"),
		Doc:        doc(from.Desc, from.Comments),
		Deprecated: options.GetDeprecated(),
		impl:       impl,
		proto:      from.Desc.ParentFile().Path(),
		desc:       from.Desc,
	}
	b.claim(pkg.Server.Path+"."+service.Func, from.Desc, "%s.%s", pkg.Server.Name, service.Func)
	b.claim(pkg.Client.Path+"."+service.Accessor, from.Desc, "%s.Client.%s", pkg.Client.Name, service.Accessor)
	b.files[pkg.dir+" "+pkg.Base+"/"+service.File+"_consumer"] = true // no RPC's
	for _, method := range from.Methods {
		service.Methods = append(service.Methods, b.method(service, method))
	}
	for _, method := range service.Methods {
		method.Fake = fake(service, method)
	}
	service.Fake = b.stem(pkg.dir+" "+pkg.Base, short(service.File)+"_fake", "service", "server")
	service.Code = CodeOfTemplates(service)
	return service
}

// fake returns the name of the field for an RPC in the fake of its service: one that no RPC
// has.
func fake(service *Service, method *Method) string {
	name := "On" + method.Name
	for slices.ContainsFunc(service.Methods, func(other *Method) bool { return other.Name == name }) {
		name += "RPC"
	}
	return name
}

// commands returns the name of the file with the subcommands of a service. Another
// run may generate another service into the same program: those of one proto package
// differ by their names and versions, and those of several by the package, too.
func (b *builder) commands(pkg *Package, from *protogen.Service) string {
	if b.module.OneProgram != "" {
		return strings.ReplaceAll(string(from.Desc.FullName()), ".", "_") + "_commands"
	}
	return strings.Trim(from.GoName+"_"+versionOf(pkg.Proto), "_") + "_commands"
}

// impl returns the package of a service's implementation, where nothing else is.
func (b *builder) impl(from *protogen.Service) GoPackage {
	dir := ImplDir(from.Desc.FullName())
	for b.holdsMessages(dir) {
		dir += "service"
	}
	impl := b.module.sub(dir, path.Base(dir))
	b.claim(claimOfDir(impl.Dir), from.Desc, "package %s", impl.Path)
	return impl
}

// ImplDir returns the folder of a service's implementation, unless messages are
// there.
func ImplDir(service protoreflect.FullName) string {
	return path.Join("internal", protoDir(string(service.Parent())), packageName(string(service.Name())))
}

// holdsMessages reports whether a folder is that of a package of messages.
func (b *builder) holdsMessages(dir string) bool {
	return slices.ContainsFunc(b.plugin.Files, func(file *protogen.File) bool {
		at, found := b.module.dir(string(file.GoImportPath))
		return found && at == dir
	})
}

// free returns a name that is not taken, with a number after it if need be, and
// takes it.
func free(name string, taken map[string]bool) string {
	plain := name
	for i := 2; taken[name]; i++ {
		name = fmt.Sprint(plain, i)
	}
	taken[name] = true
	return name
}

// unless returns a name, or another if it is taken.
func unless(name, taken string) string {
	if name == taken {
		return name + "Service"
	}
	return name
}

func (b *builder) method(service *Service, from *protogen.Method) *Method {
	options, _ := from.Desc.Options().(*descriptorpb.MethodOptions)
	pkg := service.Package
	method := &Method{
		Service:    service,
		At:         b.at(from.Desc),
		Name:       from.GoName,
		ProtoName:  string(from.Desc.Name()),
		File:       b.stem(service.impl.Dir, from.GoName, "rpc", "service", "consume"),
		TestName:   "Test" + from.GoName,
		TestFile:   b.stem(pkg.dir+" "+pkg.Base, short(service.File)+"_"+snake(from.GoName), "rpc", "server"),
		Command:    b.command(service, from),
		Doc:        doc(from.Desc, from.Comments),
		Deprecated: options.GetDeprecated(),
		Retry:      options.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN,
		Input:      b.message(from.Input),
		Output:     b.message(from.Output),
		Rules:      hasRules(from.Input.Desc, map[protoreflect.FullName]bool{}),
		desc:       from.Desc,
	}
	if slices.Contains([]string{"TestContract", "TestConsume", "TestConsumer", "TestShadow", "TestMain"}, method.TestName) {
		method.TestName += "RPC"
	}
	b.claim(service.FullName+"."+method.TestName, from.Desc, "%s", method.TestName)
	b.sendable(from.Desc, from.Input.Desc)
	b.sendable(from.Desc, from.Output.Desc)
	b.classify(method, from)
	if method.Event != nil {
		method.Event = b.eventType(pkg, method.Event, from)
	}
	return method
}

// command returns the subcommand of an RPC, which no other RPC of its service has.
func (b *builder) command(service *Service, from *protogen.Method) string {
	plain := cmp.Or(dashed(from.GoName), "rpc")
	command := plain
	for i := 1; b.files[service.FullName+" "+command]; i++ {
		command = plain + "-rpc"
		if i > 1 {
			command += fmt.Sprint(i)
		}
	}
	b.files[service.FullName+" "+command] = true
	return command
}

// eventType returns an event as one of the package's event types, and adds it
// to them.
func (b *builder) eventType(pkg *Package, event *Event, from *protogen.Method) *Event {
	for _, known := range pkg.EventTypes {
		if known.Message == event.Message {
			return known
		}
	}
	event.Package, event.Title = pkg, event.Name
	if event.Go.Path != pkg.Messages.Path {
		// Of another package, which may have the same name for it.
		event.Title = strings.ToUpper(base(event.Go.Name)[:1]) + base(event.Go.Name)[1:] + event.Name
	}
	event.File = b.stem(pkg.dir+" "+pkg.Base, event.Title, "event", "client", "server", "log", "consume", "engines")
	b.claim(pkg.Events.Path+".Append"+event.Title, from.Desc, "%s.Log.Append%s", pkg.Events.Name, event.Title)
	b.claim(pkg.Events.Path+".On"+event.Title, from.Desc, "%s.On%s", pkg.Events.Name, event.Title)
	b.claim(pkg.Events.Path+".Consume"+event.Title+"Batches", from.Desc, "%s.Log.Consume%sBatches", pkg.Events.Name, event.Title)
	present, err := compat.Text(event.desc)
	if err != nil {
		b.complaints.add(event.desc, "message %s can't be kept for later runs to compare with: %v", event.FullName, err)
	}
	event.Kept = []string{present}
	pkg.EventTypes = append(pkg.EventTypes, event)
	return event
}

func (b *builder) message(from *protogen.Message) *Message {
	if message := b.messages[from.Desc.FullName()]; message != nil {
		return message
	}
	file := b.plugin.FilesByPath[from.Desc.ParentFile().Path()]
	message := &Message{
		Name:     from.GoIdent.GoName,
		FullName: string(from.Desc.FullName()),
		Doc:      doc(from.Desc, from.Comments),
		Go:       GoPackage{Path: string(file.GoImportPath), Name: string(file.GoPackageName)},
		Built:    from.APILevel != gofeaturespb.GoFeatures_API_OPEN,
	}
	b.messages[from.Desc.FullName()] = message
	for _, field := range from.Fields {
		getter, _ := field.MethodName("Get")
		name := field.GoName
		if message.Built {
			name = field.BuilderFieldName()
		}
		message.Fields = append(message.Fields, &Field{
			Name:      name,
			Number:    int(field.Desc.Number()),
			ProtoName: string(field.Desc.Name()),
			JSONName:  field.Desc.JSONName(),
			Kind:      kindOf(field.Desc),
			ProtoType: protoType(field.Desc),
			Getter:    getter,
			Doc:       strings.Join(strings.Fields(doc(field.Desc, field.Comments)), " "),
			GoType:    integers[field.Desc.Kind()],
			List:      field.Desc.IsList(),
			Optional:  singular(field.Desc) && field.Desc.Message() == nil && field.Desc.Kind() != protoreflect.BytesKind && field.Desc.HasPresence() && outsideOneof(field.Desc),
			Text:      textOf(field.Desc),
		})
	}
	taken := general
	var event *Event
	b.quietly(func() { event = b.asEvent(from, "") })
	if event != nil && event.ID == nil {
		taken = append(slices.Clone(general), eventID)
	}
	flags(message.Fields, taken)
	return message
}

// kindOf returns a word for what a field holds, or each of its values.
func kindOf(fd protoreflect.FieldDescriptor) string {
	switch {
	case fd.IsMap():
		return "map"
	case fd.Message() != nil: // a group, too
		return "message"
	}
	return fd.Kind().String()
}

// protoType returns the type of a field as protobuf spells it, without repeated.
func protoType(fd protoreflect.FieldDescriptor) string {
	switch {
	case fd.IsMap():
		return "map<" + protoType(fd.MapKey()) + ", " + protoType(fd.MapValue()) + ">"
	case fd.Message() != nil:
		return string(fd.Message().FullName())
	case fd.Enum() != nil:
		return string(fd.Enum().FullName())
	}
	return fd.Kind().String()
}

// quietly looks at something without complaining about it: that is done where it is
// used.
func (b *builder) quietly(look func()) {
	before := len(b.complaints)
	look()
	b.complaints = b.complaints[:before]
}
