package intake

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"example.com/intake/gen/cloudeventspb"
	"example.com/intake/gen/intakepb"
	"example.com/intake/gen/intakepb/intakeevents"
)

// TestOnce sends one event in each way, and another with its values in other forms. Each
// is stored once, with its attributes.
func TestOnce(t *testing.T) {
	client, events := serve(t)
	when := time.Date(2026, 11, 27, 9, 30, 0, 0, time.UTC)
	event := &cloudeventspb.CloudEvent{
		Id: "7", Source: "/shop", Type: "com.example.sold",
		Attributes: map[string]*cloudeventspb.CloudEvent_CloudEventAttributeValue{
			"subject": {Attr: &cloudeventspb.CloudEvent_CloudEventAttributeValue_CeString{CeString: "jerry"}},
			"time":    {Attr: &cloudeventspb.CloudEvent_CloudEventAttributeValue_CeTimestamp{CeTimestamp: timestamppb.New(when)}},
		},
		Data: &cloudeventspb.CloudEvent_TextData{TextData: "a hat"},
	}
	if _, err := client.Publish(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PublishHeld(t.Context(), &intakepb.PublishHeldRequest{Event: event}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PublishBatch(t.Context(), &cloudeventspb.CloudEventBatch{Events: []*cloudeventspb.CloudEvent{event, event}}); err != nil {
		t.Fatal(err)
	}
	for _, same := range []*cloudeventspb.CloudEvent{changed(event, func(e *cloudeventspb.CloudEvent) {
		e.SpecVersion = "1.0"
		e.Attributes["time"] = text("2026-11-27T10:30:00+01:00")
	}), changed(event, func(e *cloudeventspb.CloudEvent) {
		e.Attributes["datacontenttype"] = text("application/json")
		e.Id, e.Data = "8", &cloudeventspb.CloudEvent_BinaryData{BinaryData: []byte(`{ "b": 1, "a": "\u003c" }`)}
		e.Attributes["number"] = &cloudeventspb.CloudEvent_CloudEventAttributeValue{Attr: &cloudeventspb.CloudEvent_CloudEventAttributeValue_CeInteger{CeInteger: 7}}
	}), changed(event, func(e *cloudeventspb.CloudEvent) {
		e.Attributes["datacontenttype"] = text("application/json")
		e.Id, e.Data = "8", &cloudeventspb.CloudEvent_TextData{TextData: `{"a":"<","b":1}`}
		e.Attributes["number"] = text("7")
	})} {
		if _, err := client.Publish(t.Context(), same); err != nil {
			t.Fatal(err)
		}
	}
	count := 0
	for stored, err := range events.ReplayCloudeventsCloudEvent(t.Context(), intakeevents.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		count++
		if stored.ID == "8" {
			if got, want := stored.Message.GetTextData(), `{"a":"<","b":1}`; got != want || stored.Message.GetAttributes()["number"].GetCeString() != "7" {
				t.Errorf("in its one form the event is %v", stored.Message)
			}
			continue
		}
		if stored.ID != "7" || stored.Source != "/shop" || stored.Type != "com.example.sold" || stored.Subject != "jerry" || !stored.Time.Equal(when) {
			t.Errorf("it is stored as %+v", stored.Record)
		}
		if stored.Message.GetTextData() != "a hat" {
			t.Errorf("its data is %q", stored.Message.GetTextData())
		}
	}
	if count != 2 {
		t.Errorf("there are %d events, want 2", count)
	}
}

// changed returns a copy of an event that is changed.
func changed(event *cloudeventspb.CloudEvent, change func(*cloudeventspb.CloudEvent)) *cloudeventspb.CloudEvent {
	other := proto.CloneOf(event)
	change(other)
	return other
}

// text returns the value of an attribute.
func text(value string) *cloudeventspb.CloudEvent_CloudEventAttributeValue {
	return &cloudeventspb.CloudEvent_CloudEventAttributeValue{Attr: &cloudeventspb.CloudEvent_CloudEventAttributeValue_CeString{CeString: value}}
}
