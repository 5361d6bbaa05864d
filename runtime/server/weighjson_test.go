package server

import (
	"strings"
	"testing"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestJSONWeighsWhatItsMessageDoes(t *testing.T) {
	list := &testpb.StreamingOutputCallRequest{}
	for range 700 {
		list.ResponseParameters = append(list.ResponseParameters, &testpb.ResponseParameters{Size: 1})
	}
	for name, message := range map[string]proto.Message{
		"a list":     list,
		"one string": &testpb.SimpleResponse{Username: strings.Repeat("x", 5000)},
		"nested":     &testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{}, ResponseStatus: &testpb.EchoStatus{}},
	} {
		encoded, err := proto.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		text, err := protojson.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		binary, json := scale{most: 1 << 40, batch: 1000}, scale{most: 1 << 40, batch: 1000}
		if err := binary.weigh(message.ProtoReflect().Descriptor(), encoded, 0); err != nil {
			t.Fatal(err)
		}
		if err := weighJSON(&json, message.ProtoReflect().Descriptor(), text, 0); err != nil {
			t.Fatal(err)
		}
		if binary.weight != json.weight {
			t.Errorf("%s weighs %d in JSON, and %d otherwise", name, json.weight, binary.weight)
		}
	}
}

func TestJSONThatIsTooHeavyIsFound(t *testing.T) {
	repeated := func(part string) string { return strings.TrimSuffix(strings.Repeat(part+",", 20_000), ",") }
	for _, test := range []struct {
		name string
		of   proto.Message
		text string
	}{
		{"lists within a value", &structpb.Value{}, "[" + repeated("{}") + "]"},
		{"members of a struct", &structpb.Struct{}, `{"a":{` + repeated(`"b":[]`) + "}}"},
		{"an Any of an unknown type", &anypb.Any{}, `{"@type":"a/b","c":[` + repeated("{}") + "]}"},
		{"an Any whose type comes last", &anypb.Any{}, `{"responseParameters":[` + repeated("{}") + `],"@type":"type.googleapis.com/grpc.testing.StreamingOutputCallRequest"}`},
		{"an Any of a known type", &anypb.Any{}, `{"@type":"type.googleapis.com/grpc.testing.StreamingOutputCallRequest","responseParameters":[` + repeated("{}") + "]}"},
		{"a list, by the name in the proto", &testpb.StreamingOutputCallRequest{}, `{"response_parameters":[` + repeated("{}") + "]}"},
		{"a list, by a name with escapes", &testpb.StreamingOutputCallRequest{}, `{"respons\u0065Parameters":[` + repeated("{}") + "]}"},
	} {
		s := scale{most: 1 << 20, batch: 1 << 30}
		if err := weighJSON(&s, test.of.ProtoReflect().Descriptor(), []byte(test.text), 0); err == nil || !strings.Contains(err.Error(), "--max-message-bytes") {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func FuzzWeighJSON(f *testing.F) {
	for _, text := range []string{``, `{`, `{"payload":{"body":"\"}`, `{"responseParameters":[{},null,{"size":1}]}`, `[`, `"`, `{"a":[[[`, `{"payload":tru`, "{\"\\"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, message := range []proto.Message{&testpb.StreamingOutputCallRequest{}, &structpb.Value{}, &anypb.Any{}} {
			s := scale{most: 1 << 20, batch: 10}
			if err := weighJSON(&s, message.ProtoReflect().Descriptor(), text, 0); err != nil && !strings.Contains(err.Error(), "--max-") {
				t.Error(err)
			}
			if err := strictJSON.Unmarshal(text, message); err != nil {
				_ = explainJSON(text, message.ProtoReflect().Descriptor(), err)
			}
		}
	})
}
