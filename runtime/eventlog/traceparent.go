package eventlog

import (
	"context"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// headerTraceparent is the metadata by which a caller's span comes with a call, as W3C
// Trace Context defines it, and the extension attribute of a CloudEvent for the same.
const headerTraceparent = "traceparent"

// eventTraceparent is the metadata by which that attribute comes of a CloudEvent whose
// message has no place for it, named as the header of HTTP that has it.
const eventTraceparent = "ce-traceparent"

// traceparentLength is the length of a trace parent of version 00, the only one so far.
const traceparentLength = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

// ParseTraceparent returns a W3C trace parent in the form of version 00, in which an
// [Event] has it, or "" if the text is not one. Of a later version it takes what that has
// in common with version 00, as the specification asks.
func ParseTraceparent(text string) string {
	if len(text) < traceparentLength || len(text) > maxAttribute {
		return ""
	}
	version, rest := text[:2], text[traceparentLength:]
	parsed := text[:traceparentLength]
	if version != "00" {
		parsed = "00" + text[2:traceparentLength]
	}
	if !isTraceparent(parsed) || !isHex(version) || version == "ff" || rest != "" && (version == "00" || rest[0] != '-') {
		return ""
	}
	return parsed
}

// isTraceparent reports whether a text is a trace parent of version 00.
func isTraceparent(text string) bool {
	if len(text) != traceparentLength || text[:3] != "00-" || text[35] != '-' || text[52] != '-' {
		return false
	}
	trace, span, flags := text[3:35], text[36:52], text[53:]
	return isHex(trace) && isHex(span) && isHex(flags) && !isZero(trace) && !isZero(span)
}

func isHex(text string) bool {
	for _, c := range []byte(text) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func isZero(text string) bool {
	for _, c := range []byte(text) {
		if c != '0' {
			return false
		}
	}
	return true
}

// traceparentOf returns the trace parent of what a call appends to a log: that of the
// CloudEvent that it brings, or of its span, if an observer of the log traces it, and
// otherwise that which the caller sent.
func traceparentOf(ctx context.Context, log Log) string {
	if sent := metadata.ValueFromIncomingContext(ctx, eventTraceparent); len(sent) == 1 {
		if parent := ParseTraceparent(sent[0]); parent != "" {
			return parent
		}
	}
	for _, observer := range observersOf(log) {
		if observer.Traceparent != nil {
			if parent := observer.Traceparent(ctx); parent != "" {
				return parent
			}
		}
	}
	if sent := metadata.ValueFromIncomingContext(ctx, headerTraceparent); len(sent) == 1 {
		return ParseTraceparent(sent[0])
	}
	return ""
}

// ownTraceparent returns the trace parent that a message has itself: the extension
// attribute of a CloudEvent, which is the span that made the event.
func ownTraceparent(m protoreflect.Message) string {
	if m.Descriptor().FullName() != "io.cloudevents.v1.CloudEvent" {
		return ""
	}
	attributes := m.Descriptor().Fields().ByName("attributes")
	if attributes == nil || !attributes.IsMap() || attributes.MapKey().Kind() != protoreflect.StringKind || attributes.MapValue().Message() == nil {
		return ""
	}
	value := m.Get(attributes).Map().Get(protoreflect.ValueOfString(headerTraceparent).MapKey())
	text := attributes.MapValue().Message().Fields().ByName("ce_string")
	if !value.IsValid() || text == nil || text.Kind() != protoreflect.StringKind || text.IsList() {
		return ""
	}
	return ParseTraceparent(value.Message().Get(text).String())
}
