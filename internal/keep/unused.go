package keep

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// NotUsed returns a line for each service of a module without programs of ours that no
// code of yours serves, or whose consumer none runs. [Module.Leftovers] must have been
// called.
func (m *Module) NotUsed(target *model.Module) (lines []string) {
	if !target.NoPrograms {
		return nil
	}
	for _, service := range target.Services() {
		users := m.users(service.Impl().Dir)
		runs := func(dir string) bool {
			calls := m.calls(dir)
			return len(calls["."+service.ConsumeName()])+len(calls[service.Impl().Path+"."+service.ConsumeName()]) > 0
		}
		switch {
		case m.joined[service].impl == nil || m.joined[service].movedFrom() != "":
		case len(users) == 0:
			line := fmt.Sprintf("%s: no code imports it, so %s is not served: in your main, %s.Register%sServer(server, %s)",
				service.Impl().Dir, service, service.Package.Messages.Name, service.Name, madeBy(service))
			if service.Code.TakesLog {
				line += fmt.Sprintf(", where log is from %s/eventlog.Open", target.Runtime)
			}
			if service.Code.Consumes {
				line += fmt.Sprintf("; and run its %s, which handles the stored events", service.ConsumeName())
			}
			lines = append(lines, line)
		case service.Code.Consumes && !slices.ContainsFunc(users, runs):
			lines = append(lines, fmt.Sprintf("%s: %s of %s is not run, so nothing handles the stored events: run it beside the server, until that stops, or delete the method",
				users[0], service.ConsumeName(), service))
		}
	}
	return lines
}

// users returns the other folders with Go code, tests aside, that imports a package,
// sorted.
func (m *Module) users(dir string) []string {
	folders := map[string]bool{}
	for at, imported := range m.imported {
		if path.Dir(at) != dir && !strings.HasSuffix(at, "_test.go") && slices.Contains(imported, dir) {
			folders[path.Dir(at)] = true
		}
	}
	return slices.Sorted(maps.Keys(folders))
}
