package servertest

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/compat"
)

// reported keeps what a test reports.
type reported struct {
	testing.TB
	texts []string
}

func (r *reported) Helper() {}

func (r *reported) Errorf(format string, args ...any) {
	r.texts = append(r.texts, fmt.Sprintf(format, args...))
}

func TestSchemasThatWouldBeMisread(t *testing.T) {
	same, err := compat.Text((&durationpb.Duration{}).ProtoReflect().Descriptor())
	if err != nil {
		t.Fatal(err)
	}
	former := strings.Replace(same, "TYPE_INT64", "TYPE_STRING", 1)
	for _, c := range []struct {
		name string
		kept []string
		want []string
	}{
		{"the present one", []string{same}, nil},
		{"a former one", []string{former, same}, []string{"stored events of google.protobuf.Duration would be misread: field 1 (seconds) was string, is int64 now: its values are not read"}},
		{"one that is broken", []string{"google.protobuf.Duration\n"}, []string{"a kept version of google.protobuf.Duration: the files of google.protobuf.Duration can't be read"}},
	} {
		r := &reported{TB: t}
		Schemas[*durationpb.Duration](r, c.kept...)
		if len(r.texts) != len(c.want) {
			t.Errorf("%s: it reports %q, want %q", c.name, r.texts, c.want)
			continue
		}
		for i, want := range c.want {
			if !strings.HasPrefix(r.texts[i], want) {
				t.Errorf("%s: it reports %q, want %q", c.name, r.texts[i], want)
			}
		}
	}
}
