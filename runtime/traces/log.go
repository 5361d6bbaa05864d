//runtime:with eventlog

package traces

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

const (
	messagingSystem    = attribute.Key("messaging.system")
	messagingOperation = attribute.Key("messaging.operation.name")
	messagingType      = attribute.Key("messaging.operation.type")
	messagingGroup     = attribute.Key("messaging.consumer.group.name")
	messagingBatch     = attribute.Key("messaging.batch.message_count")
	messagingID        = attribute.Key("messaging.message.id")
	eventSource        = attribute.Key("cloudevents.event_source")
	eventType          = attribute.Key("cloudevents.event_type")
	eventPosition      = attribute.Key("eventlog.position")
	eventTries         = attribute.Key("eventlog.tries")
	eventRetryIn       = attribute.Key("eventlog.retry_in_ms")
)

// maxLinks is how many of a batch's senders its span links to.
const maxLinks = 128

// Log returns what makes spans of what happens in an event log, for [eventlog.Observe]: a
// span each time that a handler of a consumer gets events, which links to the spans that
// sent them, and is in the context of the handler. And the events that a traced call
// appends keep its span.
func (s *Spans) Log() eventlog.Observer {
	if s.provider == nil {
		return eventlog.Observer{}
	}
	return eventlog.Observer{Traceparent: traceparent, Handling: s.handling, Failed: failed}
}

// traceparent returns the span of a call as an event keeps it, if it is sampled.
func traceparent(ctx context.Context) string {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsSampled() || !span.IsValid() {
		return ""
	}
	return "00-" + span.TraceID().String() + "-" + span.SpanID().String() + "-01"
}

// handling begins the span of a handler that gets events.
func (s *Spans) handling(ctx context.Context, consumer string, records []eventlog.Record) (context.Context, func(error)) {
	var first [1]trace.Link
	ctx, span := s.tracer.Start(ctx, "process "+consumer,
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithNewRoot(), trace.WithLinks(links(first[:0], records)...))
	if span.IsRecording() {
		span.SetAttributes(messagingSystem.String("eventlog"), messagingOperation.String("process"), messagingType.String("process"), messagingGroup.String(consumer))
		if len(records) == 1 {
			span.SetAttributes(described(&records[0])...)
		} else {
			span.SetAttributes(messagingBatch.Int(len(records)))
		}
		ctx = logged(ctx, span)
	}
	return ctx, func(err error) {
		if err != nil && span.IsRecording() {
			span.SetStatus(otelcodes.Error, eventlog.CutReason(err.Error()))
			span.SetAttributes(errorType.String("_OTHER"))
		}
		span.End()
	}
}

// links adds links to the spans that sent events, each one once.
func links(all []trace.Link, records []eventlog.Record) []trace.Link {
	last := "" // those of a batch that was sent as one follow each other
	for i := range records {
		parent := records[i].Traceparent
		if parent == "" || parent == last || len(all) == maxLinks {
			continue
		}
		last = parent
		if sender := spanContext(parent); sender.IsValid() {
			all = append(all, trace.Link{SpanContext: sender})
		}
	}
	return all
}

// spanContext returns the span that a trace parent names.
func spanContext(parent string) trace.SpanContext {
	if parent = eventlog.ParseTraceparent(parent); parent == "" {
		return trace.SpanContext{}
	}
	of := trace.SpanContextConfig{Remote: true}
	of.TraceID, _ = trace.TraceIDFromHex(parent[3:35]) // it was parsed, and is valid
	of.SpanID, _ = trace.SpanIDFromHex(parent[36:52])
	if c := parent[54]; c%2 == 1 && c <= '9' || c == 'b' || c == 'd' || c == 'f' { // the lowest bit of the flags
		of.TraceFlags = trace.FlagsSampled
	}
	return trace.NewSpanContext(of)
}

// failed adds to the span of a handler what becomes of an event that it failed with.
func failed(ctx context.Context, _ string, record *eventlog.Record, tries int, then eventlog.Then) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	name, attributes := "retry", append(described(record), eventTries.Int(tries))
	if then.GiveUp {
		name = "dead letter"
	} else {
		attributes = append(attributes, eventRetryIn.Int64(then.Retry.Milliseconds()))
	}
	span.AddEvent(name, trace.WithAttributes(attributes...))
}

// described returns the attributes of an event.
func described(record *eventlog.Record) []attribute.KeyValue {
	return []attribute.KeyValue{
		messagingID.String(record.ID), eventSource.String(record.Source), eventType.String(record.Type), eventPosition.Int64(int64(record.Position)),
	}
}
