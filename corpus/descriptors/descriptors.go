// Package descriptors asks what protoc would ask a plugin, about services that
// are linked into a program instead of written in protos: the descriptors that
// every generated Go package carries and registers.
package descriptors

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/pluginpb"
)

// Main writes the request for the services of the Go packages named by the
// arguments, which the program must import, to the standard output.
func Main() {
	if err := write(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(packages []string) error {
	request, err := Request(protoregistry.GlobalFiles, protoregistry.GlobalTypes, packages)
	if err != nil {
		return err
	}
	output, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(output)
	return err
}

// Request asks about every file of the Go packages that has a service. Each file
// comes behind the ones that it imports. No file has comments: what is linked
// into a program has none.
//
// The parameter says with an option M which Go package a file is in, where that
// is not the one of its go_package.
func Request(files *protoregistry.Files, types *protoregistry.Types, packages []string) (*pluginpb.CodeGeneratorRequest, error) {
	inGo := goPackages(files, types)
	var generate []protoreflect.FileDescriptor
	without := slices.Clone(packages)
	for file := range files.RangeFiles {
		importPath, _, _ := strings.Cut(cmp.Or(inGo[file.Path()], goPackage(file)), ";")
		if file.Services().Len() > 0 && slices.Contains(packages, importPath) {
			generate = append(generate, file)
			without = slices.DeleteFunc(without, func(name string) bool { return name == importPath })
		}
	}
	if len(without) > 0 {
		return nil, fmt.Errorf("no services are registered by %s", strings.Join(without, ", "))
	}
	slices.SortFunc(generate, func(a, b protoreflect.FileDescriptor) int { return cmp.Compare(a.Path(), b.Path()) })
	r := requester{files: files, inGo: inGo, added: map[string]bool{}, parameters: map[string]bool{}}
	for _, file := range generate {
		r.request.FileToGenerate = append(r.request.FileToGenerate, file.Path())
		if err := r.add(file); err != nil {
			return nil, err
		}
	}
	r.request.Parameter = proto.String(strings.Join(slices.Sorted(maps.Keys(r.parameters)), ","))
	return &r.request, nil
}

type requester struct {
	files      *protoregistry.Files
	inGo       map[string]string
	added      map[string]bool // by path
	parameters map[string]bool
	request    pluginpb.CodeGeneratorRequest
}

// add puts a file behind those that it imports.
func (r *requester) add(file protoreflect.FileDescriptor) error {
	if r.added[file.Path()] {
		return nil
	}
	r.added[file.Path()] = true
	asProto := protodesc.ToFileDescriptorProto(file)
	imports := file.Imports()
	for i := range imports.Len() {
		imported, err := r.registered(imports.Get(i))
		if err == nil {
			asProto.Dependency[i] = imported.Path()
			err = r.add(imported)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file.Path(), err)
		}
	}
	if is := r.inGo[file.Path()]; is != "" && !same(is, goPackage(file)) {
		r.parameters["M"+file.Path()+"="+is] = true
	}
	r.request.ProtoFile = append(r.request.ProtoFile, asProto)
	return nil
}

// registered is an imported file. Some are compiled under a shorter name than
// others import them by: kv.proto is etcd/api/mvccpb/kv.proto.
func (r *requester) registered(imported protoreflect.FileImport) (protoreflect.FileDescriptor, error) {
	if !imported.IsPlaceholder() {
		return imported.FileDescriptor, nil
	}
	short := imported.Path()
	for more := true; more; {
		if file, err := r.files.FindFileByPath(short); err == nil {
			return file, nil
		}
		_, short, more = strings.Cut(short, "/")
	}
	return nil, fmt.Errorf("%s is imported, and not registered", imported.Path())
}

// goPackages are the Go packages that files are in, by their paths and as a
// go_package says them, IMPORT/PATH;NAME: the one of its messages, or where it
// has neither messages nor a go_package, that of the files beside it.
func goPackages(files *protoregistry.Files, types *protoregistry.Types) map[string]string {
	packages, beside := map[string]string{}, map[string]string{}
	set := func(file protoreflect.FileDescriptor, of reflect.Type) {
		name, _, _ := strings.Cut(of.String(), ".")
		packages[file.Path()] = of.PkgPath() + ";" + name
		beside[path.Dir(file.Path())+":"+string(file.Package())] = packages[file.Path()]
	}
	for message := range types.RangeMessages {
		if of := reflect.TypeOf(message.Zero().Interface()); of.Elem().PkgPath() != "" {
			set(message.Descriptor().ParentFile(), of.Elem())
		}
	}
	for enum := range types.RangeEnums {
		set(enum.Descriptor().ParentFile(), reflect.TypeOf(enum.New(0)))
	}
	for file := range files.RangeFiles {
		if is := beside[path.Dir(file.Path())+":"+string(file.Package())]; is != "" && packages[file.Path()]+goPackage(file) == "" {
			packages[file.Path()] = is
		}
	}
	return packages
}

func goPackage(file protoreflect.FileDescriptor) string {
	return protodesc.ToFileDescriptorProto(file).GetOptions().GetGoPackage()
}

// same reports whether a go_package says the Go package that a file is in.
func same(is, said string) bool {
	path, name, named := strings.Cut(said, ";")
	if !named {
		name = path[strings.LastIndex(path, "/")+1:]
	}
	return is == path+";"+name
}
