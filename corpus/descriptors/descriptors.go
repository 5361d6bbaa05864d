// Package descriptors makes the request that protoc would send to a plugin. It makes
// it from the descriptors that are linked into a program, which every generated Go
// package registers, and so needs no protos.
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

// Main writes the request for the services of some Go packages to the standard
// output. The arguments name the packages, which the program must import.
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

// Request returns the request for every file of the Go packages that has a service.
// Each file follows those that it imports. The files have no comments, because
// descriptors that are linked into a program have none.
//
// If a file is in another Go package than its go_package says, the parameter has an
// option M for it.
func Request(files *protoregistry.Files, types *protoregistry.Types, packages []string) (*pluginpb.CodeGeneratorRequest, error) {
	inGo := goPackages(files, types)
	var generate []protoreflect.FileDescriptor
	missing := slices.Clone(packages)
	for file := range files.RangeFiles {
		importPath, _, _ := strings.Cut(cmp.Or(inGo[file.Path()], goPackage(file)), ";")
		if file.Services().Len() > 0 && slices.Contains(packages, importPath) {
			generate = append(generate, file)
			missing = slices.DeleteFunc(missing, func(name string) bool { return name == importPath })
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("these packages register no services: %s", strings.Join(missing, ", "))
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

// add adds a file after those that it imports.
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
	if actual := r.inGo[file.Path()]; actual != "" && !same(actual, goPackage(file)) {
		r.parameters["M"+file.Path()+"="+actual] = true
	}
	r.request.ProtoFile = append(r.request.ProtoFile, asProto)
	return nil
}

// registered returns an imported file. Some files are compiled with a shorter name
// than the one that others import: kv.proto is etcd/api/mvccpb/kv.proto.
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
	return nil, fmt.Errorf("%s is imported, but not registered", imported.Path())
}

// goPackages returns the Go packages of files, as IMPORT/PATH;NAME by the paths of the
// files. It is the package of the file's messages, or, if it has neither messages nor
// a go_package, that of the files in its folder.
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
		if name := beside[path.Dir(file.Path())+":"+string(file.Package())]; name != "" && packages[file.Path()]+goPackage(file) == "" {
			packages[file.Path()] = name
		}
	}
	return packages
}

func goPackage(file protoreflect.FileDescriptor) string {
	return protodesc.ToFileDescriptorProto(file).GetOptions().GetGoPackage()
}

// same reports whether a go_package names the Go package in which its file actually
// is, given as IMPORT/PATH;NAME.
func same(actual, goPackage string) bool {
	path, name, ok := strings.Cut(goPackage, ";")
	if !ok {
		name = path[strings.LastIndex(path, "/")+1:]
	}
	return actual == path+";"+name
}
