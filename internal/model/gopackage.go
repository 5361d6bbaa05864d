package model

import (
	"path"
	"strings"

	"google.golang.org/protobuf/types/pluginpb"
)

// CheckGoPackages refuses a request with a proto of which it is not said which
// Go package its messages are in, by the option go_package or by M.
func CheckGoPackages(request *pluginpb.CodeGeneratorRequest, modulePath string) error {
	mapped := map[string]bool{}
	for option := range strings.SplitSeq(request.GetParameter(), ",") {
		if file, _, found := strings.Cut(strings.TrimPrefix(option, "M"), "="); found && strings.HasPrefix(option, "M") {
			mapped[file] = true
		}
	}
	var complaints Complaints
	for _, file := range request.GetProtoFile() {
		goPackage := file.GetOptions().GetGoPackage()
		importPath, _, _ := strings.Cut(goPackage, ";")
		suggestion := path.Join(modulePath, "gen", strings.TrimSuffix(path.Base(file.GetName()), ".proto")+"pb")
		switch {
		case mapped[file.GetName()]:
		case goPackage == "":
			complaints.at(file, nil, "there is no go_package: add the line  option go_package = %q;  "+
				"or pass the option M%s=%s to every plugin", suggestion, file.GetName(), suggestion)
		case !strings.ContainsAny(importPath, "./"):
			complaints.at(file, []int32{8, 11}, "go_package %q is no import path, as it has neither a dot nor a slash: "+
				"make it %q", goPackage, suggestion)
		}
	}
	return complaints.err()
}
