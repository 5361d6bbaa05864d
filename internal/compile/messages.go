package compile

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
)

// checkMessages returns warnings about .pb.go files, those of protoc-gen-go-grpc among
// them, that keep the module from
// building: those that are missing because their proto was not named, and those that
// are left over from a proto that no longer exists. protoc-gen-go reports neither,
// because it doesn't look at files that it doesn't make.
func (c *command) checkMessages(result *plugin.Result, root *keep.Root, made []keep.File) (warnings []string) {
	options, modulePath := result.Options, result.GoMod.Path()
	var unnamed string // the first proto that is imported and not named, and the others
	var others []string
	for _, file := range c.request.GetProtoFile() {
		dir, ok := folderOf(options.GoPackage(file), modulePath)
		if !ok || slices.Contains(c.request.GetFileToGenerate(), file.GetName()) || hasMessages(root, dir, file.GetName()) {
			continue
		}
		if unnamed == "" {
			unnamed = fmt.Sprintf("%s: it is imported, but its messages are not in %s: name it, too", file.GetName(), dir)
		} else {
			others = append(others, file.GetName())
		}
	}
	if unnamed != "" {
		warnings = append(warnings, unnamed+model.More(others))
	}
	folders := map[string]bool{}
	for _, file := range made {
		folders[path.Dir(file.Path)] = true
	}
	for dir := range folders {
		for at, proto := range protosIn(root, dir) {
			if !c.hasProto(proto) {
				warnings = append(warnings, fmt.Sprintf("%s: it was made from %s, which is not below %s: if that proto no longer exists, delete this file", at, proto, strings.Join(c.ImportPaths, ", ")))
			}
		}
	}
	slices.Sort(warnings)
	return warnings
}

// folderOf returns the folder of a Go package, if it is in the module.
func folderOf(goPackage, modulePath string) (dir string, ok bool) {
	dir, ok = strings.CutPrefix(goPackage+"/", modulePath+"/")
	return path.Clean(dir), ok
}

// hasProto reports whether there is a proto with the given name.
func (c *command) hasProto(name string) bool {
	if slices.ContainsFunc(c.request.GetProtoFile(), func(file *descriptorpb.FileDescriptorProto) bool { return file.GetName() == name }) {
		return true
	}
	return slices.ContainsFunc(c.ImportPaths, func(root string) bool {
		_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
		return err == nil
	})
}

// hasMessages reports whether a folder has the messages of a proto.
func hasMessages(root *keep.Root, dir, proto string) bool {
	for at, of := range protosIn(root, dir) {
		if of == proto && !strings.HasSuffix(at, "_grpc.pb.go") {
			return true
		}
	}
	return false
}

// protosIn returns the proto from which each .pb.go file in a folder was made. The
// keys are the paths of the files.
func protosIn(root *keep.Root, dir string) map[string]string {
	protos := map[string]string{}
	entries, _ := root.List(dir)
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".pb.go") {
			continue
		}
		text, _ := root.Read(path.Join(dir, entry.Name()))
		_, rest, _ := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n// source: ")
		if proto, _, ok := strings.Cut(rest, "\n"); ok {
			protos[path.Join(dir, entry.Name())] = proto
		}
	}
	return protos
}
