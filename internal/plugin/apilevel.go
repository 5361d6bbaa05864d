package plugin

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// messageStruct matches the beginning of a message in a .pb.go file, with its name
// and its API.
var messageStruct = regexp.MustCompile("(?m)^type (\\w+) struct \\{\n\\s*state\\s+protoimpl\\.MessageState\\s+`protogen:\"(hybrid|opaque)\\.v1\"`")

// otherAPI returns a line for each package of messages that protoc-gen-go made with
// another API than this run takes them to have. A plugin can't know the options of
// another one; but it can look at what a previous run wrote.
func (r *Result) otherAPI(target *model.Module) (lines []string) {
	if len(r.Options.levels) > 0 {
		return nil
	}
	for _, pkg := range target.Packages {
		apis := apisIn(filepath.Join(r.Options.Root, filepath.FromSlash(pkg.Messages.Dir)))
		for _, method := range pkg.Methods() {
			api := apis[method.Output.Name]
			if api == "" || method.Output.Built || method.Output.Go.Path != pkg.Messages.Path {
				continue
			}
			option := "default_api_level=API_" + strings.ToUpper(api)
			lines = append(lines, fmt.Sprintf("%s: protoc-gen-go made its messages with the %s API: pass its option %s to protoc-gen-receiver, too; "+
				"then delete those of your files that don't compile, and run once with scaffold=all", pkg.Messages.Dir, api, option))
			break
		}
	}
	return lines
}

// apisIn returns which of the messages in a folder have the hybrid or the opaque API.
func apisIn(dir string) map[string]string {
	apis := map[string]string{}
	files, _ := filepath.Glob(filepath.Join(dir, "*.pb.go"))
	for _, file := range files {
		if strings.HasSuffix(file, "_protoopaque.pb.go") { // the other half of a hybrid one
			continue
		}
		text, _ := os.ReadFile(file) // what can't be read has no say here
		for _, match := range messageStruct.FindAllStringSubmatch(strings.ReplaceAll(string(text), "\r\n", "\n"), -1) {
			apis[match[1]] = match[2]
		}
	}
	return apis
}
