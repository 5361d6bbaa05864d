//runtime:with eventlog

package web

import (
	"maps"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/cloudevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// traced are the attributes that also go with the call, as metadata. So an event that has
// no field for them loses nothing.
var traced = []string{"traceparent", "tracestate"}

// decoder decodes data that is a message.
type decoder func(data []byte, into proto.Message, isJSON bool) error

// fill puts an event into a message. It refuses what the message can't hold.
func fill(into protoreflect.Message, event cloudEvent, fields server.Fields, decode decoder) error {
	if cloudevents.Is(into.Descriptor()) {
		return fillCloudEvent(into, event)
	}
	put := filling{into: into, event: event, fields: fields, decode: decode}
	if fields.Attributes != "" {
		put.others = into.Descriptor().Fields().ByName(protoreflect.Name(fields.Attributes))
	}
	return put.all()
}

// fillCloudEvent puts an event into the message of CloudEvents' own.
func fillCloudEvent(into protoreflect.Message, event cloudEvent) error {
	fields := into.Descriptor().Fields()
	for name, field := range map[string]protoreflect.Name{"specversion": "spec_version", "id": "id", "source": "source", "type": "type"} {
		into.Set(fields.ByName(field), protoreflect.ValueOfString(event.attributes[name]))
	}
	attributes := into.Mutable(fields.ByName("attributes")).Map()
	for name, value := range event.attributes {
		if !slices.Contains(requiredAttributes, name) {
			cloudevents.SetAttribute(attributes.Mutable(protoreflect.ValueOfString(name).MapKey()).Message(), name, value)
		}
	}
	if at := event.attributes["time"]; at != "" {
		if _, err := timeOf(at); err != nil {
			return err
		}
	}
	if event.data != nil {
		into.Set(fields.ByName("binary_data"), protoreflect.ValueOfBytes(event.data))
	}
	cloudevents.Rewrite(into)
	return nil
}

// filling is a message of somebody's own that an event is put into.
type filling struct {
	into   protoreflect.Message
	event  cloudEvent
	fields server.Fields
	others protoreflect.FieldDescriptor // the map for other attributes; nil for none
	decode decoder
	done   []string // attributes that the message holds
}

func (f *filling) all() error {
	for _, one := range []struct {
		name, path string
		put        func(name, path, value string) error
	}{
		{"id", f.fields.ID, f.putText},
		{"source", f.fields.Source, f.putText},
		{"type", f.fields.Type, f.putText},
		{"subject", f.fields.Subject, f.putText},
		{"time", f.fields.Time, f.putTime},
	} {
		if value := f.event.attributes[one.name]; value != "" && one.path != "" {
			if err := one.put(one.name, one.path, value); err != nil {
				return err
			}
			f.done = append(f.done, one.name)
		}
	}
	f.done = append(f.done, "specversion", "id") // which comes with the call
	if name := string(f.into.Descriptor().FullName()); f.fields.Type == "" {
		if f.event.attributes["type"] != name {
			return invalid("type", "is %q, but %s has no field for it: events of it have the type %s", f.event.attributes["type"], name, name)
		}
		f.done = append(f.done, "type")
	}
	if f.fields.Source == "" {
		return invalid("source", "can't be kept: %s has no field for it", f.into.Descriptor().FullName())
	}
	if err := f.putData(); err != nil {
		return err
	}
	return f.putOthers()
}

// putOthers puts what is left into the map for it, if there is one.
func (f *filling) putOthers() error {
	for _, name := range slices.Sorted(maps.Keys(f.event.attributes)) {
		switch {
		case slices.Contains(f.done, name):
		case f.others != nil:
			key := protoreflect.ValueOfString(name).MapKey()
			f.into.Mutable(f.others).Map().Set(key, protoreflect.ValueOfString(f.event.attributes[name]))
		case name == "datacontenttype":
			return refuse(http.StatusUnsupportedMediaType, "the attribute datacontenttype, %s, can't be kept: %s", f.event.attributes[name], f.lacks())
		case !slices.Contains(traced, name):
			return invalid(name, "can't be kept: %s", f.lacks())
		case name == "traceparent" && eventlog.ParseTraceparent(f.event.attributes[name]) == "":
			return invalid(name, "is not as W3C Trace Context says: %q", f.event.attributes[name])
		}
	}
	return nil
}

// lacks says what a message must have to hold any attribute.
func (f *filling) lacks() string {
	return string(f.into.Descriptor().FullName()) + " has no field for it, nor one like map<string, string> extensions"
}

// at returns the field of a path such as "user.id", and the message that has it.
func (f *filling) at(path string) (protoreflect.Message, protoreflect.FieldDescriptor) {
	message := f.into
	for {
		name, rest, deeper := strings.Cut(path, ".")
		field := message.Descriptor().Fields().ByName(protoreflect.Name(name))
		if !deeper || field == nil || field.Message() == nil {
			return message, field
		}
		message, path = message.Mutable(field).Message(), rest
	}
}

func (f *filling) putText(name, path, text string) error {
	message, field := f.at(path)
	switch {
	case field == nil:
		return unknownField(path)
	case field.Kind() == protoreflect.StringKind:
		message.Set(field, protoreflect.ValueOfString(text))
		return nil
	case field.Enum() != nil:
		value := field.Enum().Values().ByName(protoreflect.Name(text))
		if value == nil {
			return invalid(name, "is %q, which is not a value of %s", text, field.Enum().FullName())
		}
		message.Set(field, protoreflect.ValueOfEnum(value.Number()))
		return nil
	}
	value, ok := integer(field, text)
	if !ok {
		return invalid(name, "is %q, but the field %s holds an integer that is not 0", text, path)
	}
	message.Set(field, value)
	return nil
}

// integer returns the value of an integer field. ok is false if text is not the decimal
// form of one, or is 0, which counts as none.
func integer(field protoreflect.FieldDescriptor, text string) (value protoreflect.Value, ok bool) {
	bits, signed := 32, true
	switch field.Kind() {
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		bits = 64
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		signed = false
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		bits, signed = 64, false
	}
	if signed {
		n, err := strconv.ParseInt(text, 10, bits)
		if value = protoreflect.ValueOfInt64(n); bits == 32 {
			value = protoreflect.ValueOfInt32(int32(n))
		}
		return value, err == nil && n != 0 && strconv.FormatInt(n, 10) == text
	}
	n, err := strconv.ParseUint(text, 10, bits)
	if value = protoreflect.ValueOfUint64(n); bits == 32 {
		value = protoreflect.ValueOfUint32(uint32(n))
	}
	return value, err == nil && n != 0 && strconv.FormatUint(n, 10) == text
}

// timeOf returns a time that a Timestamp can be.
func timeOf(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || timestamppb.New(at).CheckValid() != nil {
		return at, invalid("time", "is %s, which is not within the years 1 to 9999", text)
	}
	return at, nil
}

func (f *filling) putTime(name, path, text string) error {
	message, field := f.at(path)
	at, err := timeOf(text)
	switch {
	case field == nil:
		return unknownField(path)
	case err != nil:
		return err
	case field.Message() != nil:
		cloudevents.SetTime(message.Mutable(field).Message(), at)
		return nil
	case f.fields.Unit <= 0 || f.fields.Unit > time.Second:
		return unknownField(path)
	}
	perSecond := int64(time.Second / f.fields.Unit)
	if seconds := at.Unix(); seconds > math.MaxInt64/perSecond-1 || seconds < math.MinInt64/perSecond+1 {
		return invalid(name, "is %s, which the field %s can't hold", text, path)
	}
	units := at.Unix()*perSecond + int64(at.Nanosecond())/int64(f.fields.Unit)
	value, ok := integer(field, strconv.FormatInt(units, 10))
	if !ok {
		return invalid(name, "is %s, which the field %s can't hold", text, path)
	}
	message.Set(field, value)
	return nil
}

// putData puts the data into its field, and its content type, unless that says nothing
// that the field does not.
func (f *filling) putData() error {
	contentType := f.event.attributes["datacontenttype"]
	media, params, _ := mime.ParseMediaType(contentType)
	if charset := params["charset"]; strings.EqualFold(charset, "utf-8") {
		delete(params, "charset")
	}
	plainJSON := (media == "application/json" || media == "text/json") && len(params) == 0
	if f.event.data == nil {
		if plainJSON && f.others == nil {
			f.done = append(f.done, "datacontenttype")
		}
		return nil
	}
	if f.fields.Data == "" {
		return refuse(http.StatusBadRequest, "the data can't be kept: %s has no field for it", f.into.Descriptor().FullName())
	}
	message, field := f.at(f.fields.Data)
	if field == nil {
		return unknownField(f.fields.Data)
	}
	isProtobuf := field.Message() != nil && cloudevents.IsProtobuf(contentType)
	implied := media == "" || plainJSON
	switch {
	case field.Message() != nil:
		implied = implied || isProtobuf && len(params) == 0
	case field.Kind() == protoreflect.BytesKind:
		implied = implied || len(params) == 0 && (media == "application/octet-stream" || media == "text/plain")
	default:
		implied = implied || len(params) == 0 && media == "text/plain"
	}
	if implied && f.others == nil {
		f.done = append(f.done, "datacontenttype")
	}
	if isProtobuf && f.others == nil {
		schema := strings.TrimPrefix(strings.TrimPrefix(f.event.attributes["dataschema"], "https://"), "type.googleapis.com/")
		if schema == string(field.Message().FullName()) {
			f.done = append(f.done, "dataschema")
		}
	}
	return f.setData(message, field, isProtobuf, contentType)
}

func (f *filling) setData(message protoreflect.Message, field protoreflect.FieldDescriptor, isProtobuf bool, contentType string) error {
	data, path := f.event.data, f.fields.Data
	switch {
	case field.Kind() == protoreflect.BytesKind:
		message.Set(field, protoreflect.ValueOfBytes(data))
	case field.Kind() == protoreflect.StringKind:
		if !utf8.Valid(data) {
			return refuse(http.StatusBadRequest, "the data can't be kept: the field %s holds text in UTF-8", path)
		}
		message.Set(field, protoreflect.ValueOfString(string(data)))
	case isProtobuf || contentType == "" || cloudevents.IsJSON(contentType):
		return ofData(f.decode(data, message.Mutable(field).Message().Interface(), !isProtobuf))
	default:
		return refuse(http.StatusUnsupportedMediaType, "the data can't be kept: it is %s, and the field %s holds a %s: send JSON", contentType, path, field.Message().FullName())
	}
	return nil
}

// ofData returns the error of decoding data, as that of a whole request.
func ofData(err error) error {
	was := status.Convert(err)
	if text, ok := strings.CutPrefix(was.Message(), "the request "); ok && was.Code() == codes.InvalidArgument {
		return &refused{http.StatusBadRequest, "the data " + text, true}
	}
	return err
}

// unknownField is the error for generated code that does not fit its messages.
func unknownField(path string) error {
	return refuse(http.StatusInternalServerError, "the server's generated code names the field %s, which its messages do not have", path)
}
