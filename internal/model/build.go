package model

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Build reads the services of the files to generate. A wrong proto is an error
// of type [Complaints], with all there is to complain about.
func Build(module Module, plugin *protogen.Plugin) (*App, error) {
	b := builder{
		plugin:   plugin,
		app:      &App{Module: module},
		packages: map[protogen.GoImportPath]*Package{},
		messages: map[protoreflect.FullName]*Message{},
	}
	files := slices.Clone(plugin.Files)
	slices.SortFunc(files, func(a, b *protogen.File) int { return cmp.Compare(a.Desc.Path(), b.Desc.Path()) })
	for _, file := range files {
		if file.Generate && len(file.Services) > 0 {
			b.file(file)
		}
	}
	slices.SortFunc(b.app.Packages, func(a, b *Package) int { return cmp.Compare(a.Messages.Path, b.Messages.Path) })
	b.programs()
	return b.app, b.complaints.err()
}

type builder struct {
	plugin     *protogen.Plugin
	app        *App
	packages   map[protogen.GoImportPath]*Package
	messages   map[protoreflect.FullName]*Message
	complaints Complaints
}

func (b *builder) file(file *protogen.File) {
	pkg := b.packageOf(file)
	for _, service := range file.Services {
		pkg.Services = append(pkg.Services, b.service(pkg, service))
	}
}

// packageOf is the package that a file belongs to. What is generated for it
// stands beside its messages, or under gen if they belong to another module.
func (b *builder) packageOf(file *protogen.File) *Package {
	if pkg := b.packages[file.GoImportPath]; pkg != nil {
		return pkg
	}
	module, protoPackage := b.app.Module, string(file.Desc.Package())
	messages := GoPackage{Path: string(file.GoImportPath), Name: string(file.GoPackageName)}
	dir, found := module.dir(messages.Path)
	if found {
		messages.Dir = dir
	} else {
		dir = path.Join("gen", strings.ReplaceAll(protoPackage, ".", "/"))
	}
	base := base(messages.Name)
	role := func(name string) GoPackage { return module.sub(path.Join(dir, base+name), base+name) }
	pkg := &Package{
		program:  program(protoPackage, file.Desc.Path()),
		dir:      dir,
		Proto:    protoPackage,
		Base:     base,
		Messages: messages,
		Client:   role("client"),
		Server:   role("server"),
		Events:   role("events"),
		Test:     role("test"),
	}
	b.packages[file.GoImportPath] = pkg
	b.app.Packages = append(b.app.Packages, pkg)
	return pkg
}

// programs puts the packages together that one program serves.
func (b *builder) programs() {
	for _, pkg := range b.app.Packages {
		i := slices.IndexFunc(b.app.Programs, func(p *Program) bool { return p.Name == pkg.program })
		if i < 0 {
			i = len(b.app.Programs)
			b.app.Programs = append(b.app.Programs, &Program{Module: &b.app.Module, Name: pkg.program})
		}
		pkg.Program = b.app.Programs[i]
		pkg.Program.Packages = append(pkg.Program.Packages, pkg)
	}
}

func (b *builder) service(pkg *Package, from *protogen.Service) *Service {
	name := flat(from.GoName)
	service := &Service{
		Package:  pkg,
		Name:     from.GoName,
		FullName: string(from.Desc.FullName()),
		File:     snake(from.GoName),
		Doc:      doc(from.Comments),
		Impl:     b.app.Module.sub(path.Join("internal", strings.ReplaceAll(pkg.Proto, ".", "/"), name), name),
	}
	for _, method := range from.Methods {
		if method.Desc.IsStreamingClient() || method.Desc.IsStreamingServer() {
			b.complaints.add(method.Desc, "rpc %s streams, and only unary RPCs are generated so far: "+
				"take stream out of it, or move it to a service in a file of its own that this plugin is not run on", method.Desc.Name())
			continue
		}
		service.Methods = append(service.Methods, b.method(service, method))
	}
	return service
}

func (b *builder) method(service *Service, from *protogen.Method) *Method {
	options, _ := from.Desc.Options().(*descriptorpb.MethodOptions)
	method := &Method{
		Service:    service,
		Kind:       Unary,
		Name:       from.GoName,
		ProtoName:  string(from.Desc.Name()),
		File:       snake(from.GoName),
		Command:    dashed(from.GoName),
		Doc:        doc(from.Comments),
		Deprecated: options.GetDeprecated(),
		Retry:      options.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN,
		Input:      b.message(from.Input),
		Output:     b.message(from.Output),
		Event:      b.event(service.Package, from.Input),
	}
	if method.Event != nil {
		method.Kind, method.Retry = UnaryEvent, true
	}
	if fd := from.Output.Desc.Fields().ByName("message"); fd != nil && isString(fd) && !fd.IsList() && !fd.HasPresence() {
		method.Message = method.Output.Fields[fd.Index()]
	}
	return method
}

// event is the message as one of the package's event types, if it is one.
func (b *builder) event(pkg *Package, message *protogen.Message) *Event {
	event := asEvent(message, b.message(message))
	if event == nil {
		return nil
	}
	for _, known := range pkg.EventTypes {
		if known.Message == event.Message {
			return known
		}
	}
	event.Package, event.File = pkg, snake(event.Name)
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
		Go:       GoPackage{Path: string(file.GoImportPath), Name: string(file.GoPackageName)},
	}
	for _, field := range from.Fields {
		message.Fields = append(message.Fields, &Field{
			Name:      field.GoName,
			ProtoName: string(field.Desc.Name()),
			Doc:       strings.Join(strings.Fields(doc(field.Comments)), " "),
		})
	}
	taken := general
	if event := asEvent(from, message); event != nil && event.ID == nil {
		taken = append(slices.Clone(general), eventID)
	}
	for _, field := range message.Fields {
		field.Flag = flag(field.ProtoName, taken)
	}
	b.messages[from.Desc.FullName()] = message
	return message
}

// doc is what a proto says about an element: before it, else behind it.
func doc(comments protogen.CommentSet) string {
	return strings.TrimSpace(cmp.Or(string(comments.Leading), string(comments.Trailing)))
}
