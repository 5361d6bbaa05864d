package into

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

func TestProgressIsWrittenAndRead(t *testing.T) {
	p := progress{position: 10}
	for _, step := range []struct {
		positions []eventlog.Position
		text      string
		position  eventlog.Position
	}{
		{[]eventlog.Position{13}, "3", 10},
		{[]eventlog.Position{17, 15, 16}, "3 5-7", 10},
		{[]eventlog.Position{14, 5}, "3-7", 10},
		{[]eventlog.Position{20}, "3-7 10", 10},
		{[]eventlog.Position{11, 12}, "3", 17},
		{[]eventlog.Position{18, 19}, "", 20},
	} {
		p = p.with(step.positions...)
		if p.text() != step.text || p.position != step.position {
			t.Errorf("with %v: %q after %d, want %q after %d", step.positions, p.text(), p.position, step.text, step.position)
		}
		read, err := parseProgress(p.position, p.text())
		if err != nil || read.text() != p.text() {
			t.Errorf("%q is read as %q: %v", p.text(), read.text(), err)
		}
		for position := range eventlog.Position(25) {
			if read.has(position) != p.has(position) {
				t.Errorf("%q: has %d: %t", p.text(), position, read.has(position))
			}
		}
	}
	if p = p.with(25, 30).upTo(27); p.position != 27 || p.text() != "3" {
		t.Errorf("up to 27: %q after %d", p.text(), p.position)
	}
}
