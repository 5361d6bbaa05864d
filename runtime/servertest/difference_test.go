package servertest_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/apipb"
	"google.golang.org/protobuf/types/known/sourcecontextpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)

// What differs is shown as a person would write it, whatever its type.
func TestDifferencesAreShown(t *testing.T) {
	context := &sourcecontextpb.SourceContext{FileName: "a.proto"}
	for want, messages := range map[string][2]proto.Message{
		``:                            {&apipb.Api{Name: "a"}, &apipb.Api{Name: "a"}},
		`without name, which was "a"`: {&apipb.Api{}, &apipb.Api{Name: "a"}},
		`with source_context {file_name:"a.proto"}, which was not set`: {&apipb.Api{SourceContext: context}, &apipb.Api{}},
		`without source_context, which was {file_name:"a.proto"}`:      {&apipb.Api{}, &apipb.Api{SourceContext: context}},
		`with mixins {name:"b"}, which was {name:"a"}`:                 {&apipb.Api{Mixins: []*apipb.Mixin{{Name: "b"}}}, &apipb.Api{Mixins: []*apipb.Mixin{{Name: "a"}}}},
		`with syntax 1, which was not set`:                             {&apipb.Api{Syntax: 1}, &apipb.Api{}},
		`with source_context.file_name "b.proto", which was "a.proto"`: {&apipb.Api{SourceContext: &sourcecontextpb.SourceContext{FileName: "b.proto"}}, &apipb.Api{SourceContext: context}},
	} {
		if got := servertest.Changed(messages[0], messages[1]); got != want {
			t.Errorf("%v differs from %v: %q, want %q", messages[0], messages[1], got, want)
		}
	}
}
