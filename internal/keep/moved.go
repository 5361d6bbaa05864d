package keep

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// movedFrom returns the import path of the package from which the implementation has
// what it embeds, if that is another than the one of the service's messages: its
// go_package has changed.
func (j *joined) movedFrom() string {
	if j.impl == nil {
		return ""
	}
	for _, embedded := range j.impl.embedded() {
		text, certain := j.impl.file.spell(embedded)
		for _, prefix := range []string{"Unimplemented", "Unsafe"} {
			from, ok := strings.CutSuffix(text, "."+prefix+j.service.Name+"Server")
			if ok && certain && from != j.service.Package.Messages.Path {
				return from
			}
		}
	}
	return ""
}

// moved returns the line about code of yours that imports the packages of a go_package
// which has changed: the imports to change, and into which.
func (m *Module) moved(j *joined) []string {
	from := j.movedFrom()
	if from == "" {
		return nil
	}
	pkg, old := j.service.Package, path.Base(from)
	if name := j.impl.file.nameOf(from); name != "" {
		old = name
	}
	to := map[string]model.GoPackage{from: pkg.Messages}
	for role, now := range map[string]model.GoPackage{"client": pkg.Client, "server": pkg.Server, "events": pkg.Events, "test": pkg.Test} {
		for _, base := range []string{old, strings.TrimSuffix(old, "pb")} {
			to[from+"/"+base+role] = now
		}
	}
	var files, changes []string
	for _, dir := range []string{j.dir, pkg.Program.ServerDir(), pkg.Program.ClientDir()} {
		for _, file := range m.folder(dir).files {
			found := false
			for _, spec := range file.syntax.Imports {
				importPath := importPathOf(spec)
				now, ok := to[importPath]
				if !ok || file.ours {
					continue
				}
				found = true
				name := file.nameOf(importPath)
				change := fmt.Sprintf("\t%s becomes %s", spec.Path.Value, strconv.Quote(now.Path))
				if name != now.Name {
					change = fmt.Sprintf("\t%s becomes %s %s", spec.Path.Value, name, strconv.Quote(now.Path))
				}
				if !slices.Contains(changes, change) {
					changes = append(changes, change)
				}
			}
			if found {
				files = append(files, file.at)
			}
		}
	}
	slices.Sort(changes)
	remove := ""
	if dir, ok := strings.CutPrefix(from, m.path+"/"); ok {
		remove = ", and then delete " + dir
	}
	return []string{fmt.Sprintf("%s: the go_package of %s is %s now, and the code imports %s. Change these imports in %s%s:\n%s",
		j.impl.file.place(j.impl.spec), j.service.Declared(), pkg.Messages.Path, from, strings.Join(files, " "), remove, strings.Join(changes, "\n"))}
}

// nameOf returns the name under which a file imports a package: "" if it does not.
func (f *goFile) nameOf(importPath string) string {
	for name, has := range f.imports {
		if has == importPath && !majorVersion.MatchString(name) {
			return name
		}
	}
	return ""
}
