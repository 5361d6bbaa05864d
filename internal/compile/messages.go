package compile

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
)

// checkMessages says where the Go code of messages will not fit together: that
// of a proto which nobody has made, and that of one which is no more. Both are
// protoc-gen-go's, which looks at no other files than those it makes.
func (c *command) checkMessages(result *plugin.Result, made []keep.File) (lines []string) {
	options, modulePath := result.Options, result.GoMod.Path()
	for _, file := range c.request.GetProtoFile() {
		dir, within := folderOf(options.GoPackage(file), modulePath)
		if !within || slices.Contains(c.request.GetFileToGenerate(), file.GetName()) || slices.Contains(slices.Collect(maps.Values(protosIn(options.Root, dir))), file.GetName()) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: it is imported, and nothing in %s is made of it: name it, too", file.GetName(), dir))
	}
	folders := map[string]bool{}
	for _, file := range made {
		folders[path.Dir(file.Path)] = true
	}
	for dir := range folders {
		for at, proto := range protosIn(options.Root, dir) {
			if !c.hasProto(proto) {
				lines = append(lines, fmt.Sprintf("%s: it was made of %s, which is not below %s: if that is no more, delete it", at, proto, strings.Join(c.importPaths, ", ")))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// folderOf is the folder of a Go package, if it is in the module.
func folderOf(goPackage, modulePath string) (dir string, within bool) {
	dir, within = strings.CutPrefix(goPackage+"/", modulePath+"/")
	return path.Clean(dir), within
}

// hasProto reports whether there is a proto of a name.
func (c *command) hasProto(name string) bool {
	if slices.ContainsFunc(c.request.GetProtoFile(), func(file *descriptorpb.FileDescriptorProto) bool { return file.GetName() == name }) {
		return true
	}
	return slices.ContainsFunc(c.importPaths, func(root string) bool {
		_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
		return err == nil
	})
}

// protosIn are the protos of which the Go code of messages in a folder was made,
// by its paths.
func protosIn(root, dir string) map[string]string {
	protos := map[string]string{}
	entries, _ := os.ReadDir(filepath.Join(root, filepath.FromSlash(dir)))
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".pb.go") || strings.HasSuffix(entry.Name(), "_grpc.pb.go") {
			continue
		}
		text, _ := os.ReadFile(filepath.Join(root, filepath.FromSlash(dir), entry.Name()))
		_, rest, _ := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n// source: ")
		if proto, _, found := strings.Cut(rest, "\n"); found {
			protos[path.Join(dir, entry.Name())] = proto
		}
	}
	return protos
}
