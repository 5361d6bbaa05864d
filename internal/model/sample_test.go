package model_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)

// request is a request of which the type is known at run time alone, for what needs a
// type parameter.
type request struct{ message protoreflect.Message }

// requestType is the type of the requests that are made now.
var requestType protoreflect.MessageDescriptor

func (r request) ProtoReflect() protoreflect.Message {
	if r.message == nil {
		return reflected{dynamicpb.NewMessage(requestType)}
	}
	return reflected{r.message}
}

type reflected struct{ protoreflect.Message }

func (r reflected) New() protoreflect.Message { return reflected{r.Message.New()} }

func (r reflected) Interface() protoreflect.ProtoMessage { return request{r.Message} }

// TestASampleIsWhatTestsMakeWithoutIt: a file with it changes nothing until its owner
// edits it.
func TestASampleIsWhatTestsMakeWithoutIt(t *testing.T) {
	rpcs := methods(t, "testdata", "samples.proto")
	for _, name := range slices.Sorted(maps.Keys(rpcs)) {
		rpc := rpcs[name]
		t.Run(name, func(t *testing.T) {
			requestType = rpc.InputDescriptor()
			sample := rpc.Sample()
			if name == "Long" {
				if sample != "" {
					t.Errorf("the sample has %d bytes, want none that is so long", len(sample))
				}
				return
			}
			got := dynamicpb.NewMessage(requestType)
			if err := protojson.Unmarshal([]byte(sample), got); err != nil {
				t.Fatalf("%v in:\n%s", err, sample)
			}
			want := servertest.Sample[request]()
			if rpc.Kind == model.Tail {
				want = servertest.Least[request]()
			}
			if !proto.Equal(got, want.message.Interface()) {
				t.Errorf("the sample is\n%s\nbut tests without it send\n%v", sample, want.message.Interface())
			}
		})
	}
}

// TestSamplesAreForPeople: they are laid out, and their names and values are those of
// JSON.
func TestSamplesAreForPeople(t *testing.T) {
	rpcs := methods(t, "testdata", "samples.proto")
	for name, want := range map[string]string{
		"Enums":    `{ "colour": "RED", "colours": [ "RED" ], "only": "ONE" }`,
		"Nothing":  `{}`,
		"Follow":   `{ "needed": "needed", "inner": { "needed": 1 } }`,
		"Keywords": `{ "type": "type", "func": "func", "string": "string", "message": "message", "reset": "reset", "descriptor": "descriptor", "Underscore": "_underscore", "UPPER": "UPPER", "null": "null" }`,
	} {
		if got := strings.Join(strings.Fields(rpcs[name].Sample()), " "); got != want {
			t.Errorf("the sample of %s is %s, want %s", name, got, want)
		}
	}
	if got, want := rpcs["Enums"].Sample(), "{\n  \"colour\": \"RED\",\n  \"colours\": [\n    \"RED\"\n  ],\n  \"only\": \"ONE\"\n}"; got != want {
		t.Errorf("the sample is %q, want %q", got, want)
	}
}

// TestARequestWithRulesHasNoSample: only tests can find values that keep them.
func TestARequestWithRulesHasNoSample(t *testing.T) {
	for name, rpc := range methods(t, "../../testdata/rules", "rules.proto") {
		if got := rpc.Sample(); rpc.Rules != (got == "") {
			t.Errorf("%s has rules: %t, and its sample is %q", name, rpc.Rules, got)
		}
	}
}
