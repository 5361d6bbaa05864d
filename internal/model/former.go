package model

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// was begins the directive that says which full names a message had before, with
// commas between them. A message may have several.
const was = "was="

// former returns the full names that a message had before it, or its proto package,
// was renamed: its events may be stored under them.
func (b *builder) former(from *protogen.Message) (names []string) {
	var lines []string
	for _, one := range b.directives(from.Desc, from.Comments, onMessage) {
		lines = append(lines, one.text)
	}
	for _, line := range lines {
		list, found := strings.CutPrefix(line, was)
		if !found {
			continue
		}
		if slices.Contains(lines, "plain") {
			b.complaints.add(from.Desc, "the comments %splain and %s%s on %s contradict each other: only events are stored", prefix, prefix, line, named(from.Desc))
		}
		for name := range strings.SplitSeq(list, ",") {
			switch name = strings.TrimSpace(name); {
			case !protoreflect.FullName(name).IsValid():
				b.complaints.add(from.Desc, "the comment %s%s on %s: %q is not the full name of a message, such as shop.v1.OrderEvent", prefix, line, named(from.Desc), name)
			case name == string(from.Desc.FullName()):
				b.complaints.add(from.Desc, "the comment %s%s on %s: that is the name it has now; write the one it had before", prefix, line, named(from.Desc))
			case !slices.Contains(names, name):
				names = append(names, name)
			}
		}
	}
	return names
}

// formerNames complains about former names of events that another event of the same
// program has, now or before: what is stored under them can't be of both.
func (b *builder) formerNames() {
	for _, program := range b.module.Programs {
		present, former := map[string]*Event{}, map[string]*Event{}
		for _, pkg := range program.Packages {
			for _, event := range pkg.EventTypes {
				present[event.FullName] = event
			}
		}
		for _, pkg := range program.Packages {
			for _, event := range pkg.EventTypes {
				for _, name := range event.Was {
					if other := present[name]; other != nil {
						b.complaints.add(event.desc, "the comment %s%s%s on %s: another event has that name (%s)", prefix, was, name, named(event.desc), other.At)
					}
					if other := former[name]; other != nil && other.FullName != event.FullName {
						b.complaints.add(event.desc, "the comments of %s and %s (%s) both say that it was %s: remove one of them", named(event.desc), named(other.desc), other.At, name)
					}
					former[name] = event
				}
			}
		}
	}
}
