// Package compile does what protoc does: it compiles protos, runs the plugins on
// them and writes their files. After an error it writes none of them.
package compile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/protoutil"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"
)

// Request compiles files, which it finds in the folders of importPaths, into the
// request that protoc would send to a plugin. If a file doesn't compile, the error
// has a line for each mistake.
func Request(ctx context.Context, importPaths, files []string) (*pluginpb.CodeGeneratorRequest, error) {
	var mistakes []error
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: importPaths}),
		SourceInfoMode: protocompile.SourceInfoStandard,
		Reporter: reporter.NewReporter(func(err reporter.ErrorWithPos) error {
			mistakes = append(mistakes, err)
			return nil
		}, nil),
	}
	compiled, err := compiler.Compile(ctx, files...)
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	if err != nil {
		return nil, err
	}
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: files}
	added := map[string]bool{}
	for _, file := range compiled {
		add(request, file, added)
	}
	return request, nil
}

// add adds a file after those that it imports.
func add(request *pluginpb.CodeGeneratorRequest, file protoreflect.FileDescriptor, added map[string]bool) {
	if added[file.Path()] {
		return
	}
	added[file.Path()] = true
	imports := file.Imports()
	for i := range imports.Len() {
		add(request, imports.Get(i).FileDescriptor, added)
	}
	proto := protoutil.ProtoFromFileDescriptor(file)
	if result, ok := file.(linker.Result); ok {
		proto = result.FileDescriptorProto()
	}
	request.ProtoFile = append(request.ProtoFile, proto)
}

// findProtos returns the protos below the folders, by the names with which they are
// imported. It skips hidden folders, those of package managers, and testdata.
func findProtos(importPaths []string) (files []string, err error) {
	search := protoSearch{seen: map[string]bool{}}
	for _, root := range importPaths {
		search.root, search.links = root, nil
		if err := search.folder("."); err != nil {
			return nil, err
		}
		for len(search.links) > 0 {
			link := search.links[0]
			search.links = search.links[1:]
			if err := search.follow(link); err != nil {
				return nil, err
			}
		}
	}
	if len(search.files) == 0 {
		return nil, fmt.Errorf("no .proto file below %s: name the files, or the folder with -I", strings.Join(importPaths, ", "))
	}
	slices.Sort(search.files)
	return slices.Compact(search.files), nil
}

// protoSearch looks for protos. It follows links to folders after all else, and only to
// folders that it has not seen: otherwise a proto could have two names, and links could
// lead in circles.
type protoSearch struct {
	root  string
	seen  map[string]bool // folders, without links in their paths
	links []string        // below root
	files []string
}

// folder looks through a folder, and notes the links in it.
func (s *protoSearch) folder(dir string) error {
	real, err := realPath(filepath.Join(s.root, dir))
	if err != nil {
		return err
	}
	s.seen[real] = true
	entries, err := os.ReadDir(real)
	for _, entry := range entries {
		name, at := entry.Name(), filepath.Join(dir, entry.Name())
		passed := strings.HasPrefix(name, ".") || name == "vendor" || name == "node_modules" || name == "testdata"
		switch isLink := entry.Type()&fs.ModeSymlink != 0; {
		case isLink && !passed && isFolder(filepath.Join(real, name)):
			s.links = append(s.links, at)
		case entry.IsDir() && !passed:
			err = errors.Join(err, s.folder(at))
		case (isLink || entry.Type().IsRegular()) && filepath.Ext(name) == ".proto":
			s.files = append(s.files, filepath.ToSlash(at))
		}
	}
	return err
}

// follow looks through the folder that a link leads to, unless it was looked through, or
// contains the link.
func (s *protoSearch) follow(link string) error {
	real, err := realPath(filepath.Join(s.root, link))
	if err != nil {
		return err
	}
	for seen := range s.seen {
		if within, err := filepath.Rel(real, seen); seen == real || err == nil && filepath.IsLocal(within) {
			return nil
		}
	}
	return s.folder(link)
}

func realPath(at string) (string, error) {
	real, err := filepath.EvalSymlinks(at)
	if err != nil {
		return "", err
	}
	return filepath.Abs(real)
}

func isFolder(at string) bool {
	info, err := os.Stat(at)
	return err == nil && info.IsDir()
}

// importNames returns the names with which files on disk are imported. As in protoc,
// they are relative to the first folder that contains the file.
func importNames(importPaths, files []string) ([]string, error) {
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = filepath.ToSlash(filepath.Clean(file))
		if _, err := os.Stat(file); err != nil {
			continue // it may be an import name already
		}
		folder := slices.IndexFunc(importPaths, func(root string) bool {
			relative, err := filepath.Rel(root, file)
			if err != nil || !filepath.IsLocal(relative) {
				return false
			}
			names[i] = filepath.ToSlash(relative)
			return true
		})
		if folder < 0 {
			return nil, fmt.Errorf("%s is not below %s: name its folder with -I", file, strings.Join(importPaths, ", "))
		}
	}
	return names, nil
}
