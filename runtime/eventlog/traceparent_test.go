package eventlog_test

import (
	"context"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

const (
	sender = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	span   = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
	maker  = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
)

func TestParseTraceparent(t *testing.T) {
	for text, want := range map[string]string{
		sender: sender,
		maker:  maker,
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":         sender,
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-is": sender,
		"":                         "",
		"00":                       "",
		sender[:54]:                "",
		sender + "-more":           "",
		"cc" + sender[2:] + "more": "",
		"ff" + sender[2:]:          "",
		"0G" + sender[2:]:          "",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01": "",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01": "",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01": "",
		"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01": "",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x": "",
	} {
		if got := eventlog.ParseTraceparent(text); got != want {
			t.Errorf("of %q it is %q, want %q", text, got, want)
		}
	}
}

// TestEventsKeepTheSpanThatSentThem: that of the call if it is traced, else that which
// the caller sent, and before both that which made the event.
func TestEventsKeepTheSpanThatSentThem(t *testing.T) {
	traced := eventlog.Observer{Traceparent: func(context.Context) string { return span }}
	untraced := eventlog.Observer{Traceparent: func(context.Context) string { return "" }}
	sent := func(values ...string) context.Context {
		return metadata.NewIncomingContext(t.Context(), metadata.MD{"traceparent": values})
	}
	for name, test := range map[string]struct {
		ctx       context.Context
		observers []eventlog.Observer
		message   proto.Message
		want      string
	}{
		"nothing":                           {t.Context(), nil, wrapperspb.String("a"), ""},
		"the sender's":                      {sent(sender), nil, wrapperspb.String("a"), sender},
		"the sender's, malformed":           {sent("00-1-2-3"), nil, wrapperspb.String("a"), ""},
		"the sender's, twice":               {sent(sender, span), nil, wrapperspb.String("a"), ""},
		"the call's":                        {sent(sender), []eventlog.Observer{{}, traced}, wrapperspb.String("a"), span},
		"the sender's, of an untraced call": {sent(sender), []eventlog.Observer{untraced}, wrapperspb.String("a"), sender},
		"the event's":                       {sent(sender), []eventlog.Observer{traced}, cloudEvent(t, maker), maker},
		"the event's, malformed":            {sent(sender), nil, cloudEvent(t, "yesterday"), sender},
		"the event's, beside its message":   {metadata.NewIncomingContext(t.Context(), metadata.Pairs("ce-traceparent", maker, "traceparent", sender)), []eventlog.Observer{traced}, wrapperspb.String("a"), maker},
		"the event has none":                {sent(sender), nil, cloudEvent(t, ""), sender},
	} {
		inner, err := eventlog.Open(t.Context(), "memory:")
		if err != nil {
			t.Fatal(err)
		}
		log := eventlog.Observe(inner, test.observers...)
		if _, err := eventlog.AppendMessages(test.ctx, log, []proto.Message{test.message}, func(proto.Message) eventlog.Event { return eventlog.Event{Type: "t"} }); err != nil {
			t.Fatal(err)
		}
		for record, err := range log.Read(t.Context(), eventlog.From{}) {
			if err != nil || record.Traceparent != test.want {
				t.Errorf("%s: stored %q, %v, want %q", name, record.Traceparent, err, test.want)
			}
		}
	}
}

// TestObserversOfAnObservedLogAreAsked, too: main may observe a log that is observed.
func TestObserversOfAnObservedLogAreAsked(t *testing.T) {
	inner, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	log := eventlog.Observe(eventlog.Observe(inner, eventlog.Observer{Traceparent: func(context.Context) string { return span }}), eventlog.Observer{})
	if _, err := eventlog.AppendMessages(t.Context(), log, []proto.Message{wrapperspb.String("a")}, func(proto.Message) eventlog.Event { return eventlog.Event{Type: "t"} }); err != nil {
		t.Fatal(err)
	}
	for record, err := range log.Read(t.Context(), eventlog.From{}) {
		if err != nil || record.Traceparent != span {
			t.Errorf("stored %q, %v, want %q", record.Traceparent, err, span)
		}
	}
}

// cloudEvent returns an io.cloudevents.v1.CloudEvent with a trace parent, as far as it
// matters here.
func cloudEvent(t *testing.T, traceparent string) proto.Message {
	t.Helper()
	optional, repeated := descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, descriptorpb.FieldDescriptorProto_LABEL_REPEATED
	text, message := descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	field := func(name string, number int32, label descriptorpb.FieldDescriptorProto_Label, kind descriptorpb.FieldDescriptorProto_Type, of string) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Label: &label, Type: &kind}
		if of != "" {
			f.TypeName = proto.String(".io.cloudevents.v1.CloudEvent." + of)
		}
		return f
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("cloudevents.proto"), Package: proto.String("io.cloudevents.v1"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{
			Name:  proto.String("CloudEvent"),
			Field: []*descriptorpb.FieldDescriptorProto{field("id", 1, optional, text, ""), field("attributes", 5, repeated, message, "AttributesEntry")},
			NestedType: []*descriptorpb.DescriptorProto{
				{Name: proto.String("CloudEventAttributeValue"), Field: []*descriptorpb.FieldDescriptorProto{field("ce_string", 3, optional, text, "")}},
				{Name: proto.String("AttributesEntry"), Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)},
					Field: []*descriptorpb.FieldDescriptorProto{field("key", 1, optional, text, ""), field("value", 2, optional, message, "CloudEventAttributeValue")}},
			},
		}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	kind := file.Messages().Get(0)
	event := dynamicpb.NewMessage(kind)
	if traceparent != "" {
		all := event.Mutable(kind.Fields().ByName("attributes")).Map()
		value := all.NewValue()
		value.Message().Set(kind.Messages().ByName("CloudEventAttributeValue").Fields().ByName("ce_string"), protoreflect.ValueOfString(traceparent))
		all.Set(protoreflect.ValueOfString("traceparent").MapKey(), value)
	}
	return event
}
