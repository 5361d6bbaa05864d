package keep

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// eventElement begins the element of a file that is made for an event, before the
// full name of its message.
const eventElement = "event "

// knownEvents returns the folders of the events that the previous run knew, by their
// full names. folders are those of packages' roles, before anything is written, and
// leftovers what is no longer made in them.
func (m *Module) knownEvents(folders map[string]bool, leftovers []File) map[string]string {
	events := map[string]string{}
	for dir := range folders {
		if !strings.HasSuffix(dir, "events") {
			continue
		}
		entries, _ := m.list(dir)
		for _, entry := range entries {
			at := path.Join(dir, entry.Name())
			ended := slices.ContainsFunc(leftovers, func(file File) bool { return file.Path == at })
			if path.Ext(at) != ".go" || !m.made[at] && !ended {
				continue // another run makes it
			}
			text, err := m.read(at)
			if name, found := strings.CutPrefix(sourceOf(text).element, eventElement); err == nil && found && Marked(at, text) && !isEmptied(at, text) {
				events[name] = dir
			}
		}
	}
	return events
}

// unreadEvents returns a line for each event that the previous run knew and this one
// does not, neither as it is nor under a former name: nothing reads any longer what
// is stored of it. before has their folders, by their names, and leftovers what keeps
// what they were, which this run removes.
func (m *Module) unreadEvents(target *model.Module, before map[string]string, leftovers []File) (lines []string) {
	known := map[string]bool{}
	var added []*model.Event
	for _, event := range target.EventTypes() {
		known[event.FullName] = true
		for _, name := range event.Was {
			known[name] = true
		}
		if before[event.FullName] == "" && !slices.ContainsFunc(added, func(other *model.Event) bool { return other.FullName == event.FullName }) {
			added = append(added, event)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if known[name] {
			continue
		}
		above := "its message"
		if event := successor(name, before[name], added); event != nil {
			above = fmt.Sprintf("message %s (%s)", event.Name, event.At)
		}
		line := fmt.Sprintf("event %s is no longer generated: what is stored under that name is not read any longer; "+
			`if it was renamed, write "// receiver:was=%[1]s" above %s`, name, above)
		for _, file := range leftovers {
			if m.keepsSchemasOf(file.Path, []string{name}) {
				line += fmt.Sprintf(", and before you run this again restore %s, which has what these events are", file.Path)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// successor returns the event that one of a name is likely to have become: the only
// one that was added and is generated in its folder or else in any, or the only one of
// them that has its name in another proto package. It returns nil if there is no such one.
func successor(name, dir string, added []*model.Event) *model.Event {
	beside := slices.DeleteFunc(slices.Clone(added), func(event *model.Event) bool { return event.Package.Events.Dir != dir })
	for _, events := range [][]*model.Event{beside, added} {
		if len(events) == 1 {
			return events[0]
		}
		sameName := slices.DeleteFunc(slices.Clone(events), func(event *model.Event) bool {
			return lastName(event.FullName) != lastName(name)
		})
		if len(sameName) == 1 {
			return sameName[0]
		}
	}
	return nil
}

// lastName returns a full name without the package, and without the messages around it.
func lastName(fullName string) protoreflect.Name { return protoreflect.FullName(fullName).Name() }
