package eventlog_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/context/attribute_context"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// at returns an event with a time in it.
func at(seconds int64, nanos int32) proto.Message {
	return &attribute_context.AttributeContext{Request: &attribute_context.AttributeContext_Request{
		Time: &timestamppb.Timestamp{Seconds: seconds, Nanos: nanos}}}
}

func delayed(seconds int64, nanos int32) proto.Message {
	return &errdetails.RetryInfo{RetryDelay: &durationpb.Duration{Seconds: seconds, Nanos: nanos}}
}

// structs returns an event with this many Structs in each other: three messages
// each, since an entry of a map is one.
func structs(levels int) proto.Message {
	value := structpb.NewBoolValue(true)
	for range levels {
		value = structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"a": value}})
	}
	return value.GetStructValue() // the event itself is the outermost
}

// claims returns an event whose Struct holds a value.
func claims(value *structpb.Value) proto.Message {
	return &attribute_context.AttributeContext{Request: &attribute_context.AttributeContext_Request{
		Auth: &attribute_context.AttributeContext_Auth{Claims: &structpb.Struct{Fields: map[string]*structpb.Value{"ratio": value}}}}}
}

// lists returns an event with this many ListValues in each other: two messages each.
func lists(levels int) proto.Message {
	value := structpb.NewBoolValue(true)
	for range levels {
		value = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{value}})
	}
	return value
}

// types returns an event with this many messages in each other, itself included.
func types(levels int) proto.Message {
	message := &descriptorpb.DescriptorProto{}
	for range levels - 1 {
		message = &descriptorpb.DescriptorProto{NestedType: []*descriptorpb.DescriptorProto{message}}
	}
	return message
}

// groups returns an event with groups in each other that its type does not have.
func groups(levels int) proto.Message {
	var fields []byte
	for range levels {
		fields = protowire.AppendTag(fields, 1000, protowire.StartGroupType)
		fields = protowire.AppendVarint(protowire.AppendTag(fields, 1, protowire.VarintType), 1)
	}
	for range levels {
		fields = protowire.AppendTag(fields, 1000, protowire.EndGroupType)
	}
	message := &errdetails.RetryInfo{RetryDelay: &durationpb.Duration{}}
	message.RetryDelay.ProtoReflect().SetUnknown(fields)
	return message
}

// TestWhatIsAcceptedCanBeReadBack: what not every client could read, or read as
// the same, is refused with the place of the mistake.
func TestWhatIsAcceptedCanBeReadBack(t *testing.T) {
	const deep = "more than 99 messages are nested in each other"
	for name, test := range map[string]struct {
		event proto.Message
		want  string // in the error; "" if it is accepted
	}{
		"the year 1":               {event: at(-62135596800, 0)},
		"the end of the year 9999": {event: at(253402300799, 999999999)},
		"the year 0":               {at(-62135596801, 0), "request.time: -62135596801 seconds and 0 nanos are not a timestamp"},
		"the year 10000":           {at(253402300800, 0), "request.time: 253402300800 seconds"},
		"the end of int64":         {at(math.MaxInt64, 0), "request.time: 9223372036854775807 seconds"},
		"nanos below 0":            {at(1, -5), "request.time: 1 seconds and -5 nanos"},
		"nanos of a second":        {at(1, 1000000000), "request.time: 1 seconds and 1000000000 nanos"},

		"a long duration":             {event: delayed(-315576000000, -999999999)},
		"one that is too long":        {delayed(315576000001, 0), "retry_delay: 315576000001 seconds and 0 nanos are not a duration"},
		"one with nanos of both ways": {delayed(1, -1), "retry_delay: 1 seconds and -1 nanos are not a duration"},

		"Structs that all clients read":    {event: structs(33)},
		"one Struct more":                  {structs(34), `"a"."a"."a"."a"."a"."a"."a"."a"…: ` + deep},
		"lists that all clients read":      {event: lists(49)},
		"one list more":                    {lists(50), deep},
		"messages that all clients read":   {event: types(100)},
		"one message more":                 {types(101), "nested_type.0.nested_type.0.nested_type.0.nested_type.0…: " + deep},
		"a type that contains itself":      {types(9000), deep},
		"unknown groups that clients skip": {event: groups(98)},
		"one unknown group more":           {groups(99), "retry_delay: " + deep},

		"text":                      {event: &descriptorpb.DescriptorProto{Name: proto.String("żółć")}},
		"text that is not UTF-8":    {&descriptorpb.DescriptorProto{Name: proto.String("a\xff")}, "name: the text is not valid UTF-8"},
		"text within a list":        {&descriptorpb.DescriptorProto{ReservedName: []string{"a", "\xff"}}, "reserved_name.1: the text is not valid UTF-8"},
		"text of proto3":            {&attribute_context.AttributeContext_Request{Host: "\xff"}, "invalid UTF-8"},
		"NaN in a Struct":           {event: claims(structpb.NewNumberValue(math.NaN()))},
		"infinity in a Struct":      {event: claims(structpb.NewNumberValue(math.Inf(1)))},
		"a value without a kind":    {event: claims(&structpb.Value{})},
		"a message of unknown type": {event: &anypb.Any{TypeUrl: "type.googleapis.com/other.v1.Thing", Value: []byte{8, 1}}},
		"an invalid type":           {event: &anypb.Any{TypeUrl: "no slash", Value: []byte{0xff}}},
	} {
		t.Run(name, func(t *testing.T) {
			log, err := eventlog.Open(t.Context(), "memory:")
			if err != nil {
				t.Fatal(err)
			}
			_, err = eventlog.AppendMessages(t.Context(), log, []proto.Message{test.event}, func(proto.Message) eventlog.Event {
				return eventlog.Event{Type: "t"}
			})
			stats, _ := log.Stats(t.Context())
			if test.want == "" {
				if err != nil || stats.Events != 1 {
					t.Errorf("error %v, %d events, want it to be stored", err, stats.Events)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || stats.Events != 0 {
				t.Errorf("error\n%v, %d events, want none and\n%s", err, stats.Events, test.want)
			}
			if !errors.Is(err, eventlog.ErrInvalid) || status.Code(err) != codes.InvalidArgument {
				t.Errorf("the code is %v, want InvalidArgument", status.Code(err))
			}
		})
	}
}

// BenchmarkAppendMessages appends the demo's event to a log that keeps nothing.
func TestAMessageThatIsMissingIsNamed(t *testing.T) {
	_, err := eventlog.AppendMessages(t.Context(), nowhere{}, []*structpb.Struct{{}, nil}, func(*structpb.Struct) eventlog.Event {
		return eventlog.Event{}
	})
	if want := "no google.protobuf.Struct is given"; !errors.Is(err, eventlog.ErrInvalid) || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want %q", err, want)
	}
}

func BenchmarkAppendMessages(b *testing.B) {
	details, err := structpb.NewStruct(map[string]any{"idfa": "idfa1", "amount": 123})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := eventlog.AppendMessages(b.Context(), nowhere{}, []*structpb.Struct{details}, func(*structpb.Struct) eventlog.Event {
			return eventlog.Event{ID: "1", Type: "t"}
		}); err != nil {
			b.Fatal(err)
		}
	}
}

// nowhere is a log that keeps nothing.
type nowhere struct{ eventlog.Log }

func (nowhere) Append(context.Context, ...eventlog.Event) ([]eventlog.Receipt, error) {
	return nil, nil
}
