package model

import (
	"fmt"
	"path"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/compat"
)

// SchemasFile returns the path of the file that keeps what the event's message was.
func (e *Event) SchemasFile() string {
	return path.Join(e.Package.Test.Dir, e.File+"_schemas_test.go")
}

// Keep adds former versions of the event's message, of which [SchemasFile] has the texts, to
// those that are kept: those with something that the message does not have any longer. It
// returns a line for each field by which it would misread events, with the place of the
// field. Then what was kept stays as it is: the message may be a mistake, and what mends it
// must not count as another.
func (e *Event) Keep(former []string) (lines []string, err error) {
	present := e.Kept[len(e.Kept)-1]
	e.Kept = nil
	printed := map[string]bool{}
	for _, text := range former {
		was, err := compat.Parse(text)
		if err != nil {
			return nil, err
		}
		needed := false
		for _, finding := range compat.Compare(was, e.desc) {
			needed = needed || finding.Removed()
			if !finding.Misreads() {
				continue
			}
			at := placeOf(finding.At)
			at.Text = fmt.Sprintf("%s. Stored events of %s would be misread: give what is new a number that was never used, or, if no log has such events, delete %s and run this again",
				finding.Text(""), e.FullName, e.SchemasFile())
			if line := at.Error(); !printed[line] {
				printed[line] = true
				lines = append(lines, line)
			}
		}
		if needed {
			e.Kept = append(e.Kept, text)
		}
	}
	if e.Kept = append(e.Kept, present); len(lines) > 0 {
		e.Kept = former
	}
	return lines, nil
}
