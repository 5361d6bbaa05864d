package model

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// roleNames are the names by which a field fills a role, the first that has
// the right type.
var (
	idNames      = []protoreflect.Name{"event_id"}
	sourceNames  = []protoreflect.Name{"appid", "app_id", "source", "tenant", "tenant_id"}
	typeNames    = []protoreflect.Name{"xwhat", "event_type", "event_name", "type"}
	subjectNames = []protoreflect.Name{"xwho", "subject", "user_id", "distinct_id"}
	timeNames    = withUnits([]protoreflect.Name{"xwhen", "event_time", "occurred_at", "timestamp", "time"})
	dataNames    = []protoreflect.Name{"xcontext", "data", "payload", "properties"}
)

// asEvent reads a message as an event. It is nil if the message is none: one
// whose name ends in Event, with a type and a source, a subject or a time.
func asEvent(message *protogen.Message, as *Message) *Event {
	if !strings.HasSuffix(message.GoIdent.GoName, "Event") {
		return nil
	}
	fill := func(names []protoreflect.Name, fits func(protoreflect.FieldDescriptor) bool) *Field {
		for _, name := range names {
			if fd := message.Desc.Fields().ByName(name); fd != nil && !fd.IsList() && !fd.IsMap() && fits(fd) {
				return as.Fields[fd.Index()]
			}
		}
		return nil
	}
	event := &Event{
		Message: as,
		ID:      fill(idNames, isString),
		Source:  fill(sourceNames, isString),
		Type:    fill(typeNames, isString),
		Subject: fill(subjectNames, isString),
		Data:    fill(dataNames, isData),
	}
	if field := fill(timeNames, isTime); field != nil {
		event.Time = &Time{Field: field, Unit: unit(message.Desc.Fields().ByName(protoreflect.Name(field.ProtoName)))}
	}
	if event.Type == nil || event.Source == nil && event.Subject == nil && event.Time == nil {
		return nil
	}
	return event
}

// Identity says in words which fields come before the id that is sent with an
// event: "source appid and event_id, or where that is empty ".
func (e *Event) Identity() string {
	switch {
	case e.Source != nil && e.ID != nil:
		return fmt.Sprintf("source (%s) and its id (%s), or where that is empty ", e.Source.ProtoName, e.ID.ProtoName)
	case e.Source != nil:
		return fmt.Sprintf("source (%s) and ", e.Source.ProtoName)
	case e.ID != nil:
		return fmt.Sprintf("id (%s), or where that is empty ", e.ID.ProtoName)
	}
	return "type and "
}

func isString(fd protoreflect.FieldDescriptor) bool { return fd.Kind() == protoreflect.StringKind }

func isData(fd protoreflect.FieldDescriptor) bool {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.BytesKind, protoreflect.StringKind:
		return true
	}
	return false
}

func isTime(fd protoreflect.FieldDescriptor) bool { return isTimestamp(fd) || unit(fd) != "" }

func isTimestamp(fd protoreflect.FieldDescriptor) bool {
	return fd.Kind() == protoreflect.MessageKind && fd.Message().FullName() == "google.protobuf.Timestamp"
}

// units are the endings by which an integer's name says its unit.
var units = []struct{ suffix, unit string }{
	{"_ms", "time.Millisecond"}, {"_us", "time.Microsecond"}, {"_nanos", "time.Nanosecond"},
}

// unit is the unit of an integer that holds a time: said by its name's ending,
// else seconds in 32 bits, else unknown.
func unit(fd protoreflect.FieldDescriptor) string {
	switch fd.Kind() {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind,
		protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
	default:
		return ""
	}
	for _, u := range units {
		if strings.HasSuffix(string(fd.Name()), u.suffix) {
			return u.unit
		}
	}
	switch fd.Kind() {
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return ""
	}
	return "time.Second"
}

// withUnits adds to each name the ones that say a unit.
func withUnits(names []protoreflect.Name) (all []protoreflect.Name) {
	for _, name := range names {
		all = append(all, name)
		for _, u := range units {
			all = append(all, name+protoreflect.Name(u.suffix))
		}
	}
	return all
}
