package console

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// form is how the page asks for a request of an RPC.
type form struct {
	Method string  `json:"method"`
	Type   string  `json:"type"`
	Fields []field `json:"fields"`
}

// field is a field of a form.
type field struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind"`              // what the proto says
	Input   string   `json:"input"`             // text, number, bool, enum, json or message
	Values  []string `json:"values,omitempty"`  // of an enum
	Fields  []field  `json:"fields,omitempty"`  // of a message
	Sample  any      `json:"sample,omitempty"`  // what the form has at first
	Special string   `json:"special,omitempty"` // what the server does without a value
	Oneof   string   `json:"oneof,omitempty"`
}

// formDepth is how far messages in messages have inputs of their own.
const formDepth = 3

// forms answers with a form for each RPC that takes events.
func (p *page) forms(*http.Request) (any, error) {
	all := []form{}
	for _, rpc := range p.server.Load().PortRPCs() {
		if rpc.RPC.Sources == nil || rpc.Descriptor == nil {
			continue
		}
		input, roles := rpc.Descriptor.Input(), server.Fields{}
		if rpc.RPC.Fields != nil {
			roles = *rpc.RPC.Fields
		}
		all = append(all, form{rpc.Method, string(input.FullName()), fieldsOf(input, roles, "", formDepth)})
	}
	return struct {
		Forms []form `json:"forms"`
	}{all}, nil
}

// fieldsOf returns the fields of a message, which is at a path within the event. Of the holder
// of an event the path does not count.
func fieldsOf(message protoreflect.MessageDescriptor, roles server.Fields, path string, depth int) []field {
	all := []field{}
	for i := range message.Fields().Len() {
		fd := message.Fields().Get(i)
		f := field{Name: string(fd.Name()), Kind: kindOf(fd)}
		at := path + f.Name
		if oneof := fd.ContainingOneof(); oneof != nil && !oneof.IsSynthetic() {
			f.Oneof = string(oneof.Name())
		}
		switch held := fd.Message(); {
		case f.Name == roles.Holder && path == "" && fd.IsList():
			f.Input, f.Sample = "json", indent([]any{sampleOf(held, inner(roles), "", depth-1)})
		case f.Name == roles.Holder && path == "" && held != nil:
			f.Input, f.Fields = "message", fieldsOf(held, inner(roles), "", depth-1)
		case fd.IsList() || fd.IsMap() || held != nil && (depth == 0 || strings.HasPrefix(string(held.FullName()), "google.protobuf.")):
			f.input(fd, roles, at)
		case held != nil:
			f.Input, f.Fields = "message", fieldsOf(held, roles, at+".", depth-1)
		default:
			f.input(fd, roles, at)
		}
		if oneof := fd.ContainingOneof(); oneof != nil && oneof.Fields().Get(0) != fd {
			f.empty()
		}
		all = append(all, f)
	}
	return all
}

// empty leaves out the samples of a field: a oneof has one value at most.
func (f *field) empty() {
	f.Sample = nil
	for i := range f.Fields {
		f.Fields[i].empty()
	}
}

// inner returns the roles within a holder.
func inner(roles server.Fields) server.Fields {
	roles.Holder = ""
	return roles
}

// input chooses the input of a field that is not a form of its own, and its sample.
func (f *field) input(fd protoreflect.FieldDescriptor, roles server.Fields, at string) {
	sample := valueOf(fd, roles, at)
	switch {
	case fd.IsList() || fd.IsMap():
		f.Input = "json"
	case fd.Message() != nil:
		if f.Input = "json"; isText(fd.Message().FullName()) {
			f.Input = "text"
		}
	case fd.Kind() == protoreflect.BoolKind:
		f.Input = "bool"
	case fd.Kind() == protoreflect.EnumKind:
		f.Input = "enum"
		for i := range fd.Enum().Values().Len() {
			f.Values = append(f.Values, string(fd.Enum().Values().Get(i).Name()))
		}
	case fd.Kind() == protoreflect.StringKind || fd.Kind() == protoreflect.BytesKind:
		f.Input = "text"
	default:
		f.Input = "number"
	}
	switch {
	case roles.ID != "" && at == roles.ID:
		f.Special = "without a value the server chooses an id"
	case roles.Time != "" && at == roles.Time:
		f.Special = "without a value it is the time of receipt"
	case sample == nil:
	case f.Input == "json":
		f.Sample = indent(sample)
	default:
		f.Sample = sample
	}
}

// isText reports whether JSON has a well-known type as text.
func isText(name protoreflect.FullName) bool {
	return name == "google.protobuf.Timestamp" || name == "google.protobuf.Duration" || name == "google.protobuf.FieldMask"
}

func indent(value any) string {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return ""
	}
	return string(text)
}

// sampleOf returns a message in JSON, without what the server knows better.
func sampleOf(message protoreflect.MessageDescriptor, roles server.Fields, path string, depth int) map[string]any {
	sample := map[string]any{}
	for i := range message.Fields().Len() {
		fd := message.Fields().Get(i)
		at := path + string(fd.Name())
		oneof := fd.ContainingOneof()
		if at == roles.ID || at == roles.Time || oneof != nil && oneof.Fields().Get(0) != fd {
			continue
		}
		value := valueOf(fd, roles, at)
		if held := fd.Message(); value == nil && held != nil && !fd.IsList() && !fd.IsMap() && depth > 0 && !strings.HasPrefix(string(held.FullName()), "google.protobuf.") {
			value = sampleOf(held, roles, at+".", depth-1)
		}
		if value != nil {
			sample[string(fd.Name())] = value
		}
	}
	return sample
}

// valueOf returns a sample of a field in JSON: text says the name of its field, numbers are 1.
// It is nil for what a sample does not have.
func valueOf(fd protoreflect.FieldDescriptor, roles server.Fields, at string) any {
	switch {
	case fd.IsMap() || fd.IsList():
		return nil
	case fd.Message() != nil:
		return wellKnown(fd.Message().FullName(), at == roles.Data)
	case at == roles.Source && fd.Kind() == protoreflect.StringKind:
		return "console"
	}
	switch fd.Kind() {
	case protoreflect.StringKind:
		return string(fd.Name())
	case protoreflect.BytesKind, protoreflect.BoolKind:
		return nil
	case protoreflect.EnumKind:
		values := fd.Enum().Values()
		return string(values.Get(min(1, values.Len()-1)).Name())
	default:
		return 1
	}
}

// wellKnown returns a sample of a well-known type.
func wellKnown(name protoreflect.FullName, isData bool) any {
	switch name {
	case "google.protobuf.Timestamp":
		return time.Now().UTC().Truncate(time.Second).Format(time.RFC3339)
	case "google.protobuf.Duration":
		return "1s"
	case "google.protobuf.Struct":
		if isData {
			return map[string]any{"from": "console"}
		}
		return map[string]any{"key": "value"}
	}
	return nil
}

// kindOf returns the type of a field as the proto has it.
func kindOf(fd protoreflect.FieldDescriptor) string {
	if fd.IsMap() {
		return "map<" + kindOf(fd.MapKey()) + ", " + kindOf(fd.MapValue()) + ">"
	}
	kind := fd.Kind().String()
	switch {
	case fd.Message() != nil:
		kind = string(fd.Message().FullName())
	case fd.Enum() != nil:
		kind = string(fd.Enum().FullName())
	}
	if fd.IsList() {
		return "repeated " + kind
	}
	return kind
}

// send calls an RPC with a request of the form.
func (p *page) send(r *http.Request, body []byte) (any, error) {
	var wanted struct {
		Method  string          `json:"method"`
		Request json.RawMessage `json:"request"`
	}
	if err := json.Unmarshal(body, &wanted); err != nil {
		return nil, invalid("the request can't be read: %v", err)
	}
	takesEvents := false
	for _, rpc := range p.server.Load().PortRPCs() {
		takesEvents = takesEvents || rpc.Method == wanted.Method && rpc.RPC.Sources != nil
	}
	if !takesEvents {
		return nil, invalid("%s is not an RPC that takes events", wanted.Method)
	}
	_, who, err := p.identify(r)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	reply, err := p.server.Load().Invoke(r.Context(), p.caller(r), wanted.Method, wanted.Request)
	p.server.Load().Log().Info("a request was sent by the console", "method", wanted.Method, "code", status.Code(err).String(), who)
	if err != nil {
		return nil, err
	}
	answer := struct {
		Reply string  `json:"reply"`
		Took  float64 `json:"took"` // milliseconds
	}{"{}", float64(time.Since(begin).Microseconds()) / 1000}
	if reply != nil {
		text, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(reply)
		if err != nil {
			return nil, err
		}
		answer.Reply = indent(json.RawMessage(text))
	}
	return answer, nil
}
