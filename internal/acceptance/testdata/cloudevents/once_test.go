package intake

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"example.com/intake/gen/cloudeventspb"
	"example.com/intake/gen/intakepb"
	"example.com/intake/gen/intakepb/intakeevents"
)

// TestOnce sends one event in each way. It is stored once, with its attributes.
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
	count := 0
	for stored, err := range events.ReplayCloudeventsCloudEvent(t.Context(), intakeevents.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		count++
		if stored.ID != "7" || stored.Source != "/shop" || stored.Type != "com.example.sold" || stored.Subject != "jerry" || !stored.Time.Equal(when) {
			t.Errorf("it is stored as %+v", stored.Record)
		}
		if stored.Message.GetTextData() != "a hat" {
			t.Errorf("its data is %q", stored.Message.GetTextData())
		}
	}
	if count != 1 {
		t.Errorf("there are %d events, want 1", count)
	}
}
