package traces

import (
	"fmt"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// TestLinksAreToEachSenderOnce, and to 128 at most.
func TestLinksAreToEachSenderOnce(t *testing.T) {
	sentBy := func(senders ...int) (records []eventlog.Record) {
		for _, sender := range senders {
			record := eventlog.Record{}
			if sender != 0 {
				record.Traceparent = fmt.Sprintf("00-%032x-%016x-0%d", sender, sender, sender%2)
			}
			records = append(records, record)
		}
		return records
	}
	if got := links(nil, sentBy(0, 1, 1, 1, 2, 0)); len(got) != 2 || got[0].SpanContext.TraceID() != (trace.TraceID{15: 1}) || !got[0].SpanContext.IsSampled() ||
		got[1].SpanContext.SpanID() != (trace.SpanID{7: 2}) || got[1].SpanContext.IsSampled() {
		t.Errorf("the links are %v", got)
	}
	var many []int
	for i := range 300 {
		many = append(many, i+1)
	}
	if got := links(nil, sentBy(many...)); len(got) != 128 {
		t.Errorf("%d links, want 128", len(got))
	}
	if got := links(nil, []eventlog.Record{{Event: eventlog.Event{Traceparent: "yesterday"}}}); len(got) != 0 {
		t.Errorf("the links are %v, want none", got)
	}
	for flags, want := range map[string]bool{"00": false, "01": true, "02": false, "03": true, "0a": false, "0f": true, "fe": false, "ff": true} {
		if got := spanContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-" + flags); got.IsSampled() != want || !got.IsRemote() {
			t.Errorf("with the flags %s it is sampled: %v", flags, got.IsSampled())
		}
	}
}
