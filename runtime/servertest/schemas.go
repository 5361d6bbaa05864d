//runtime:with eventlog

package servertest

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/compat"
)

// Schemas makes the test fail if this program would misread events that were stored when
// their message M was as one of the texts has it, which compat.Text returned.
func Schemas[M proto.Message](t testing.TB, kept ...string) {
	t.Helper()
	is := empty[M]().ProtoReflect().Descriptor()
	for _, text := range kept {
		was, err := compat.Parse(text)
		if err != nil {
			t.Errorf("a kept version of %s: %v", is.FullName(), err)
			continue
		}
		for _, finding := range compat.Compare(was, is) {
			if finding.Misreads() {
				t.Errorf("stored events of %s would be misread: %s", is.FullName(), finding.Text(""))
			}
		}
	}
}
