package model

import (
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/module"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// CheckGoPackages refuses a request with a proto whose messages are in no Go
// package, or in one that the module could not import: by the option
// go_package, or by M.
func CheckGoPackages(request *pluginpb.CodeGeneratorRequest, modulePath string) error {
	c := goPackages{modulePath: modulePath, mapped: map[string]string{}, names: map[string]origin{}}
	for option := range strings.SplitSeq(request.GetParameter(), ",") {
		if file, goPackage, found := strings.Cut(strings.TrimPrefix(option, "M"), "="); found && strings.HasPrefix(option, "M") {
			c.mapped[file] = goPackage
		}
	}
	imported := slices.Clone(request.GetFileToGenerate())
	for _, file := range request.GetProtoFile() {
		if slices.Contains(request.GetFileToGenerate(), file.GetName()) {
			imported = append(imported, file.GetDependency()...)
		}
	}
	for _, file := range request.GetProtoFile() {
		c.check(file, slices.Contains(imported, file.GetName()))
	}
	return c.complaints.err()
}

// Misread returns the error with which protogen refused a request, with the place
// of the file that it names.
func Misread(request *pluginpb.CodeGeneratorRequest, err error) error {
	for _, file := range request.GetProtoFile() {
		if strings.Contains(err.Error(), strconv.Quote(file.GetName())) {
			var complaints Complaints
			complaints.at(file, nil, "%s", strings.Join(strings.Fields(err.Error()), " "))
			return complaints
		}
	}
	return err
}

// OfGoPackage adds what is wrong with a file's go_package. The cause is the same for
// files that have it in common; "" for one that is alone.
func (cs *Complaints) OfGoPackage(cause string, file *descriptorpb.FileDescriptorProto, format string, args ...any) {
	cs.atFor(cause, file, atGoPackage, format, args...)
}

// goPackages checks the Go packages of files.
type goPackages struct {
	modulePath string
	mapped     map[string]string // by M, by the name of the file
	names      map[string]origin // by import path
	complaints Complaints
}

// origin is the name of a package, and the file that gave it.
type origin struct{ name, file string }

// atGoPackage is the source code path of the option go_package.
var atGoPackage = []int32{8, 11}

func (c *goPackages) check(file *descriptorpb.FileDescriptorProto, imported bool) {
	goPackage, mapped := c.mapped[file.GetName()]
	if !mapped {
		goPackage = file.GetOptions().GetGoPackage()
	}
	suggestion := path.Join(c.modulePath, "gen", strings.TrimSuffix(path.Base(file.GetName()), ".proto")+"pb")
	importPath, name, named := strings.Cut(goPackage, ";")
	if !named {
		name = path.Base(importPath)
	}
	complain := func(format string, args ...any) { // in one line for all files of the Go package
		c.complaints.OfGoPackage(format+importPath, file, "go_package %q: "+format, append([]any{goPackage}, args...)...)
	}
	switch err := module.CheckImportPath(importPath); {
	case goPackage == "":
		c.complaints.atFor("no go_package", file, nil, "there is no go_package: add the line  option go_package = %q;  "+
			"or pass the option M%s=%s to every plugin", suggestion, file.GetName(), suggestion)
	case !imported: // nothing of it is used
	case !strings.ContainsAny(importPath, "./"):
		complain("it is not an import path, because it has neither a dot nor a slash: make it %q", suggestion)
	case err != nil:
		complain("it is not an import path (%v): make it %q", err, suggestion)
	case named && !token.IsIdentifier(name), slices.Contains([]string{"_", "main", "init"}, name):
		complain("%s can't be the name of a package that others import: choose another", name)
	case slices.Contains(strings.Split(importPath, "/"), "vendor"):
		complain("Go imports nothing from a folder called vendor: choose another")
	case c.barred(importPath) != "":
		complain("Go lets only what is below %s import what is in its folder internal: choose another", c.barred(importPath))
	case c.names[importPath].name != "" && c.names[importPath].name != name:
		complain("%s calls the same package %s: give it one name", c.names[importPath].file, c.names[importPath].name)
	default:
		c.names[importPath] = origin{name, file.GetName()}
	}
}

// barred returns the path below which a package can be imported, if that does not
// take in the whole module.
func (c *goPackages) barred(importPath string) string {
	parts := strings.Split(importPath, "/")
	for i := len(parts) - 1; i > 0; i-- {
		if parent := strings.Join(parts[:i], "/"); parts[i] == "internal" && parent != c.modulePath && !strings.HasPrefix(c.modulePath, parent+"/") {
			return parent
		}
	}
	return ""
}
