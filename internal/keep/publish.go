package keep

import (
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// Publish decides which packages get a publisher: those of which Go code of the
// module imports it, or all. A publisher has an event log, and most clients have no use for
// one.
func (m *Module) Publish(target *model.Module, all bool) {
	var imports [][]byte
	for _, pkg := range target.Packages {
		pkg.Publishes = all && pkg.UsesEvents()
		imports = append(imports, []byte(`"`+pkg.Publisher.Path+`"`))
	}
	if all || !target.UsesEvents() {
		return
	}
	m.eachGoFile(".", func(at string) {
		if text, err := m.read(at); err == nil {
			for i, pkg := range target.Packages {
				pkg.Publishes = pkg.Publishes || pkg.UsesEvents() && path.Dir(at) != pkg.Publisher.Dir && bytes.Contains(text, imports[i])
			}
		}
	})
}

// eachGoFile calls a function with the path of each Go file of the module that the Go
// command builds and that is neither of the runtime nor of protoc-gen-go.
func (m *Module) eachGoFile(dir string, each func(at string)) {
	entries, err := m.entries(dir)
	if err != nil || dir != "." && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "go.mod" }) {
		return
	}
	for _, entry := range entries {
		at := path.Join(dir, entry.Name())
		switch {
		case entry.IsDir() && !passedOver(entry.Name()) && at != model.RuntimeDir:
			m.eachGoFile(at, each)
		case entry.Type().IsRegular() && path.Ext(at) == ".go" && !strings.HasSuffix(at, ".pb.go"):
			each(at)
		}
	}
}
