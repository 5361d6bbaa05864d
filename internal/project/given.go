package project

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// given reads the protos that the module is to be built around. Those that are not in
// its folder are to be copied there, with a go_package of the module.
func (p *plan) given(ctx context.Context, modulePath string) error {
	if p.config.Service != "" || p.config.Event != "" {
		return wrongUse("--from takes the names of its proto: leave out --service and --event")
	}
	roots, err := p.roots()
	if err != nil {
		return err
	}
	names, err := compile.ImportNames(roots, p.config.From)
	if err != nil {
		return err
	}
	request, err := compile.Request(ctx, roots, names)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(request.GetProtoFile(), func(file *descriptorpb.FileDescriptorProto) bool {
		return len(file.GetService()) > 0 && slices.Contains(names, file.GetName())
	}) {
		return fmt.Errorf("%s has no service, so there is nothing to make: write one, or name also the proto that has it with --from", strings.Join(p.config.From, ", "))
	}
	protos, err := p.folder()
	if err != nil {
		return err
	}
	p.request = request
	var files, misfits []string
	for _, file := range request.GetProtoFile() {
		root, text := find(roots, file.GetName())
		if root == "" { // it is one of Google's that are built in
			continue
		}
		fits := within(p.dir, root)
		inPlace := fits != ""
		if inPlace && slices.Contains(names, file.GetName()) {
			protos = fits
		}
		goPackage := file.GetOptions().GetGoPackage()
		source := parse(file.GetName(), text)
		if !isOf(goPackage, modulePath) && (slices.Contains(names, file.GetName()) || !isPublic(goPackage, request, names, file)) {
			goPackage = model.GoPackageFor(modulePath, file.GetPackage(), file.GetName())
		}
		if importPath, _, _ := strings.Cut(goPackage, ";"); len(file.GetService()) > 0 && !isOf(goPackage, modulePath) && !p.requires(importPath) {
			return fmt.Errorf("%s is imported and has a service, which the module can't have: its go_package is %q. If the proto is yours, name it with --from, too. If not, first make the module in its folder, with the one of that package: %s", file.GetName(), goPackage, p.getting(modulePath, importPath))
		}
		changed := goPackage != file.GetOptions().GetGoPackage()
		files = append(files, file.GetName())
		p.params = append(p.params, "M"+file.GetName()+"="+goPackage)
		switch {
		case changed && inPlace:
			misfits = append(misfits, misfit(filepath.Join(root, file.GetName()), source, goPackage))
			continue
		case changed:
			text = source.with(goPackage)
		}
		if !inPlace {
			p.copies = append(p.copies, keep.File{Path: file.GetName(), Content: text})
		}
		if changed {
			p.left = append(p.left, fmt.Sprintf("%s: its go_package is %q in the copy, because its messages become part of this module", file.GetName(), goPackage))
		}
	}
	if len(misfits) > 0 {
		return fmt.Errorf("nothing was written, because of the Go packages of protos in the folder, which are yours to change:\n%s", strings.Join(misfits, "\n"))
	}
	request.FileToGenerate = files
	for i := range p.copies {
		p.copies[i].Path = path.Join(protos, p.copies[i].Path)
	}
	p.project = model.Around(modulePath, protos, names[0])
	return nil
}

// requires reports whether the go.mod that is there requires the module of a package.
func (p *plan) requires(importPath string) bool {
	return p.gomod != nil && slices.ContainsFunc(p.gomod.Require, func(r *modfile.Require) bool {
		return strings.HasPrefix(importPath+"/", r.Mod.Path+"/")
	})
}

// getting returns the command by which the module requires that of a package.
func (p *plan) getting(modulePath, importPath string) string {
	command := "go get " + importPath
	if p.gomod == nil {
		command = "go mod init " + modulePath + " && " + command
	}
	return command
}

// misfit returns the line to write into a proto.
func misfit(at string, source source, goPackage string) string {
	where := "add above all else"
	switch {
	case source.option != nil && source.alone():
		where = "replace this line with"
	case source.option != nil:
		where = "replace the option go_package on this line with"
	case source.after > 0:
		where = "add below this line"
	}
	return fmt.Sprintf("%s:%d:1: %s:\n\t%s", at, max(1, source.line), where, optionLine(goPackage))
}

// roots returns the folders to find protos in: those of -I; without them, for each
// proto the one that its package is relative to, if it is in folders named after that,
// and its own.
func (p *plan) roots() ([]string, error) {
	if len(p.config.ImportPaths) > 0 {
		return p.config.ImportPaths, nil
	}
	var roots, own []string
	for _, from := range p.config.From {
		text, err := os.ReadFile(from)
		if err != nil {
			return nil, err
		}
		dir := filepath.Dir(from)
		own = append(own, dir)
		folders := strings.ReplaceAll(parse(from, text).pkg, ".", "/")
		absolute, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		if rest, ok := strings.CutSuffix(filepath.ToSlash(absolute), "/"+folders); ok && folders != "" {
			if relative, err := filepath.Rel(absolute, filepath.FromSlash(rest)); err == nil {
				roots = append(roots, filepath.Join(dir, relative))
			}
		}
	}
	var all []string
	for _, root := range append(roots, own...) {
		if !slices.Contains(all, root) {
			all = append(all, root)
		}
	}
	return all, nil
}

// find returns the text of a proto, and the folder that has it; "" for none.
func find(roots []string, name string) (root string, text []byte) {
	for _, root := range roots {
		if text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name))); err == nil {
			return root, text
		}
	}
	return "", nil
}

// isOf reports whether a go_package is in a module.
func isOf(goPackage, modulePath string) bool {
	importPath, _, _ := strings.Cut(goPackage, ";")
	return importPath == modulePath || strings.HasPrefix(importPath, modulePath+"/")
}

// isPublic reports whether an imported file belongs to others, who publish its Go code:
// it has a go_package on the internet, and neither shares an owner nor the beginning of
// its proto package with the files that the module is built around.
func isPublic(goPackage string, request *pluginpb.CodeGeneratorRequest, names []string, file *descriptorpb.FileDescriptorProto) bool {
	host, _, _ := strings.Cut(goPackage, "/")
	if !strings.Contains(host, ".") || strings.HasPrefix(host, "example.") {
		return false
	}
	for _, other := range request.GetProtoFile() {
		if slices.Contains(names, other.GetName()) && (first(other.GetPackage(), ".", 1) == first(file.GetPackage(), ".", 1) ||
			first(other.GetOptions().GetGoPackage(), "/", 2) == first(goPackage, "/", 2)) {
			return false
		}
	}
	return true
}

// first returns the first parts of a text.
func first(text, separator string, parts int) string {
	all := strings.Split(text, separator)
	return strings.Join(all[:min(parts, len(all))], separator)
}
