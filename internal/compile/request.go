// Package compile does what protoc does: it compiles protos, runs the plugins on
// them and writes their files. After an error it writes none of them.
package compile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/ast"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/protoutil"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/pluginpb"
)

// Request compiles files, which it finds in the folders of importPaths, into the
// request that protoc would send to a plugin. If a file doesn't compile, the error
// has a line for each mistake.
func Request(ctx context.Context, importPaths, files []string) (*pluginpb.CodeGeneratorRequest, error) {
	return request(ctx, importPaths, files, func(string) {})
}

// request is Request. It calls opened with the path of each file that it opens or looks
// for, from several goroutines.
func request(ctx context.Context, importPaths, files []string, opened func(path string)) (*pluginpb.CodeGeneratorRequest, error) {
	var mistakes []reporter.ErrorWithPos
	sources := &protocompile.SourceResolver{ImportPaths: importPaths, Accessor: func(path string) (io.ReadCloser, error) {
		opened(path)
		return os.Open(path)
	}}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.CompositeResolver{protocompile.WithStandardImports(sources), protocompile.ResolverFunc(builtIn)},
		SourceInfoMode: protocompile.SourceInfoStandard,
		Reporter: reporter.NewReporter(func(err reporter.ErrorWithPos) error {
			mistakes = append(mistakes, err)
			return nil
		}, nil),
	}
	compiled, err := compiler.Compile(ctx, files...)
	if len(mistakes) > 0 {
		return nil, together(mistakes, importPaths)
	}
	if err != nil {
		return nil, notFound(err, importPaths)
	}
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: files}
	added := map[string]bool{}
	for _, file := range compiled {
		add(request, file, added)
	}
	return request, nil
}

// builtIn finds the proto with the rules of protovalidate: outside of buf's registry,
// which generate does not ask, its text is hard to come by.
func builtIn(path string) (protocompile.SearchResult, error) {
	if proto := validate.File_buf_validate_validate_proto; path == proto.Path() {
		return protocompile.SearchResult{Proto: protodesc.ToFileDescriptorProto(proto)}, nil
	}
	return protocompile.SearchResult{}, protoregistry.NotFound
}

// notFound returns an error that says where an imported file was looked for, if that
// is what is wrong.
func notFound(err error, importPaths []string) error {
	var where reporter.ErrorWithPos
	var at *fs.PathError
	if !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &where) || !errors.As(err, &at) {
		return err
	}
	name := at.Path
	for _, root := range importPaths { // the shortest of its names is the imported one
		if relative, err := filepath.Rel(root, at.Path); err == nil && filepath.IsLocal(relative) && len(relative) < len(name) {
			name = relative
		}
	}
	return fmt.Errorf("%s: %s is not below %s: name with -I the folder that it is relative to", where.GetPosition(), filepath.ToSlash(name), strings.Join(importPaths, ", "))
}

// newest is the newest edition that the compiler reads.
const newest = "2023"

var editionOf = regexp.MustCompile(`(?m)^[ \t]*edition[ \t]*=[ \t]*["'](\w+)["']`)

// together returns all mistakes as one error. Files of an edition that the compiler
// does not read are a line of their own, with the way out, instead of what it makes
// of their syntax.
func together(mistakes []reporter.ErrorWithPos, importPaths []string) error {
	var newer []string // files
	var lines []error
	var twice []*both
	edition := ""
	for _, mistake := range mistakes {
		name := mistake.GetPosition().Filename
		if slices.Contains(newer, name) {
			continue
		}
		if match := editionOf.FindStringSubmatch(contentOf(name, importPaths)); match != nil && match[1] > newest {
			newer, edition = append(newer, name), match[1]
			continue
		}
		if found := bothOf(mistake); found != nil {
			twice = found.joined(twice)
			continue
		}
		var err error = mistake
		if strings.Contains(err.Error(), "unknown extension buf.validate.") {
			err = fmt.Errorf(`%w: import "buf/validate/validate.proto"`, err)
		}
		lines = append(lines, err)
	}
	for _, one := range twice {
		lines = append(lines, one)
	}
	if len(newer) > 0 {
		slices.Sort(newer)
		lines = append(lines, fmt.Errorf("%s: generate reads no edition after %s, and this is %s: run the plugins with buf generate (buf 1.75 or newer) "+
			"or with protoc (32 or newer), which make the same files", strings.Join(newer, ", "), newest, edition))
	}
	return errors.Join(lines...)
}

// both is the error for two files that define the same names: often they are one
// file by two paths. Which of them is compiled first is up to chance.
type both struct {
	name  string           // the first of the names
	at    [2]ast.SourcePos // where it is defined, in the order of the files' names
	names int
}

var alreadyDefined = regexp.MustCompile(`^symbol "([^"]+)" already defined at (.+):(\d+):(\d+)`)

// bothOf returns what a mistake says of a name that is defined twice; nil for any
// other mistake.
func bothOf(mistake reporter.ErrorWithPos) *both {
	match := alreadyDefined.FindStringSubmatch(mistake.Unwrap().Error())
	if match == nil || match[2] == mistake.GetPosition().Filename {
		return nil
	}
	line, _ := strconv.Atoi(match[3])
	column, _ := strconv.Atoi(match[4])
	found := &both{match[1], [2]ast.SourcePos{mistake.GetPosition(), {Filename: match[2], Line: line, Col: column}}, 1}
	if found.at[0].Filename > found.at[1].Filename {
		slices.Reverse(found.at[:])
	}
	return found
}

// joined returns all with one more, which becomes a part of the one for its files.
func (b *both) joined(all []*both) []*both {
	for _, known := range all {
		if known.at[0].Filename == b.at[0].Filename && known.at[1].Filename == b.at[1].Filename {
			known.names++
			if b.at[0].Line < known.at[0].Line {
				known.name, known.at = b.name, b.at
			}
			return all
		}
	}
	return append(all, b)
}

func (b *both) Error() string {
	more := ""
	if b.names > 1 {
		more = fmt.Sprintf(" (and %d more names)", b.names-1)
	}
	return fmt.Sprintf("%s: %s is also defined at %s%s: if this is one file by two paths, name it by one of them, and only one of its folders with -I", b.at[0], b.name, b.at[1], more)
}

// contentOf returns the text of a proto, "" if it can't be read.
func contentOf(name string, importPaths []string) string {
	for _, root := range importPaths {
		if text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name))); err == nil {
			return string(text)
		}
	}
	return ""
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
		if err := search.below(root); err != nil {
			return nil, err
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

// below looks through a folder of -I.
func (s *protoSearch) below(root string) error {
	s.root, s.links = root, nil
	err := s.folder(".")
	for len(s.links) > 0 && err == nil {
		link := s.links[0]
		s.links = s.links[1:]
		err = s.follow(link)
	}
	return err
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

// ImportNames returns the names with which files on disk are imported. As in protoc,
// they are relative to the first folder that contains the file.
func ImportNames(importPaths, files []string) ([]string, error) {
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
