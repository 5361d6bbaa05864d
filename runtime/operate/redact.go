package operate

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/file"
)

// redaction replaces values of events. Within a run a value has the same replacement
// wherever it is, from which nobody learns what it was: the key is forgotten.
type redaction struct {
	key     []byte
	paths   []string
	found   map[string]bool     // paths that some event has, by its type
	schemas map[string][]string // fields of the messages that were seen, for errors
	texts   map[string]string   // replacements of the event that is redacted
}

// newRedaction returns a redaction of fields, such as "subject" and "data.email".
func newRedaction(paths []string) (*redaction, error) {
	for _, path := range paths {
		if !slices.Contains([]string{"id", "source", "subject"}, path) && !strings.HasPrefix(path, "data.") {
			return nil, fmt.Errorf("--redact %s: want id, source, subject, or a field of the message after data., such as data.email", path)
		}
	}
	r := &redaction{key: make([]byte, sha256.Size), paths: paths, found: map[string]bool{}, schemas: map[string][]string{}}
	_, _ = rand.Read(r.key) // never fails
	return r, nil
}

// apply replaces the values of an event, also where they are in its other attributes and
// texts. Fields that the program does not know are left out.
func (r *redaction) apply(record *eventlog.Record) error {
	if len(r.paths) == 0 {
		return nil
	}
	message, err := eventlog.Decode(record.Event)
	if err != nil {
		return fmt.Errorf("the event at position %d can't be redacted: %w", record.Position, err)
	}
	m := message.ProtoReflect()
	r.see(m.Descriptor())
	r.texts = map[string]string{}
	attributes := map[string]*string{"id": &record.ID, "source": &record.Source, "subject": &record.Subject}
	for _, path := range r.paths {
		if attribute := attributes[path]; attribute != nil {
			r.found[path] = true
			r.text(*attribute)
		} else if r.field(m, strings.Split(strings.TrimPrefix(path, "data."), ".")) {
			r.found[path] = true
		}
	}
	for _, attribute := range attributes {
		*attribute = r.without(*attribute)
	}
	r.clean(m)
	record.Data, err = file.Encode(message)
	return err
}

// missing returns an error if a path is one of no event.
func (r *redaction) missing() error {
	for _, path := range r.paths {
		if r.found[path] || len(r.schemas) == 0 {
			continue
		}
		var has []string
		for schema, fields := range r.schemas {
			has = append(has, schema+" has "+strings.Join(fields, ", "))
		}
		slices.Sort(has)
		return fmt.Errorf("--redact %s: no event has that field: %s", path, strings.Join(has, "; "))
	}
	return nil
}

// see notes the fields of a message.
func (r *redaction) see(of protoreflect.MessageDescriptor) {
	if r.schemas[string(of.FullName())] != nil {
		return
	}
	fields := []string{}
	for i := range of.Fields().Len() {
		fields = append(fields, string(of.Fields().Get(i).Name()))
	}
	r.schemas[string(of.FullName())] = fields
}

// field replaces what is in a field of a message. It reports whether messages of its type
// have such a field; of a map or a Struct, whether this one has.
func (r *redaction) field(m protoreflect.Message, path []string) (found bool) {
	fd := m.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	switch of := m.Descriptor().Fields(); m.Descriptor().FullName() { // whose type may be dynamic
	case "google.protobuf.Struct":
		entries, key := m.Get(of.ByName("fields")).Map(), protoreflect.ValueOfString(path[0]).MapKey()
		return entries.Has(key) && r.inside(entries.Get(key).Message(), path[1:])
	case "google.protobuf.Value":
		if inner := of.ByName("struct_value"); m.Has(inner) {
			return r.field(m.Get(inner).Message(), path)
		}
		list := m.Get(of.ByName("list_value")).Message()
		elements := list.Get(list.Descriptor().Fields().ByName("values")).List()
		for i := range elements.Len() {
			found = r.field(elements.Get(i).Message(), path) || found
		}
		return found
	}
	if fd == nil {
		return false
	}
	rest := path[1:]
	switch {
	case len(rest) == 0:
		r.value(m, fd)
		return true
	case fd.IsMap():
		entries, key := m.Get(fd).Map(), protoreflect.ValueOfString(rest[0]).MapKey()
		if fd.MapKey().Kind() != protoreflect.StringKind || !entries.Has(key) {
			return false
		}
		if fd.MapValue().Message() != nil {
			return r.inside(entries.Get(key).Message(), rest[1:])
		}
		entries = m.Mutable(fd).Map()
		entries.Set(key, r.scalar(fd.MapValue(), entries.Get(key)))
		return len(rest) == 1
	case fd.Message() == nil:
		return false
	case fd.IsList():
		found = has(fd.Message(), rest)
		for i := range m.Get(fd).List().Len() {
			found = r.field(m.Get(fd).List().Get(i).Message(), rest) || found
		}
		return found
	case m.Has(fd):
		return r.field(m.Get(fd).Message(), rest)
	}
	return has(fd.Message(), rest)
}

// has reports whether messages have a field, which is in none of those that were seen.
func has(of protoreflect.MessageDescriptor, path []string) bool {
	fd := of.Fields().ByName(protoreflect.Name(path[0]))
	if fd == nil || len(path) == 1 || fd.IsMap() || fd.Message() == nil {
		return fd != nil && len(path) == 1
	}
	return has(fd.Message(), path[1:])
}

// inside replaces a field of a message, or without a path all of it.
func (r *redaction) inside(m protoreflect.Message, path []string) bool {
	if len(path) > 0 {
		return r.field(m, path)
	}
	r.whole(m)
	return true
}

const anyName = "google.protobuf.Any"

// whole replaces all values in a message.
func (r *redaction) whole(m protoreflect.Message) {
	if m.Descriptor().FullName() == anyName {
		m.Clear(m.Descriptor().Fields().ByName("type_url"))
		m.Clear(m.Descriptor().Fields().ByName("value"))
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		r.value(m, fd)
		return true
	})
}

// value replaces what is in a field.
func (r *redaction) value(m protoreflect.Message, fd protoreflect.FieldDescriptor) {
	if !m.Has(fd) {
		return
	}
	eachValue(m, fd, r.whole, r.scalar)
}

// scalar returns the replacement of a value that is not a message. A text is noted, and
// replaced with all that are equal.
func (r *redaction) scalar(fd protoreflect.FieldDescriptor, value protoreflect.Value) protoreflect.Value {
	number := int32(binary.BigEndian.Uint64(r.digest(value.String())) % 1_000_000_000)
	switch fd.Kind() {
	case protoreflect.StringKind:
		r.text(value.String())
		return value
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(r.digest(string(value.Bytes())))
	case protoreflect.BoolKind, protoreflect.EnumKind:
		return fd.Default()
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(number)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(int64(number))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(number))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(number))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(number))
	default:
		return protoreflect.ValueOfFloat64(float64(number))
	}
}

// digest returns some bytes that follow from a value.
func (r *redaction) digest(value string) []byte {
	digest := hmac.New(sha256.New, r.key)
	digest.Write([]byte(value))
	return digest.Sum(nil)[:8]
}

// text notes the replacement of a text: an address of mail remains one.
func (r *redaction) text(value string) {
	replacement := fmt.Sprintf("redacted-%x", r.digest(value))
	if strings.Contains(value, "@") {
		replacement += "@example.com"
	}
	r.texts[value] = replacement
}

// shortest is the length from which a text is replaced within others, too.
const shortest = 4

// without returns a text without those that are to be replaced.
func (r *redaction) without(text string) string {
	if replacement, ok := r.texts[text]; ok && text != "" {
		return replacement
	}
	var pairs []string
	for _, value := range slices.SortedFunc(maps.Keys(r.texts), func(a, b string) int { return len(b) - len(a) }) {
		if len(value) >= shortest {
			pairs = append(pairs, value, r.texts[value])
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// clean replaces the texts in a message, and leaves out the fields that it doesn't know.
func (r *redaction) clean(m protoreflect.Message) {
	if m.Descriptor().FullName() == anyName {
		url, value := m.Descriptor().Fields().ByName("type_url"), m.Descriptor().Fields().ByName("value")
		packed := &anypb.Any{TypeUrl: m.Get(url).String(), Value: m.Get(value).Bytes()}
		if message, err := packed.UnmarshalNew(); err == nil {
			r.clean(message.ProtoReflect())
			if data, err := file.Encode(message); err == nil {
				m.Set(value, protoreflect.ValueOfBytes(data))
			}
		}
		return
	}
	m.SetUnknown(nil)
	m.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		eachValue(m, fd, r.clean, func(fd protoreflect.FieldDescriptor, value protoreflect.Value) protoreflect.Value {
			if fd.Kind() == protoreflect.StringKind {
				return protoreflect.ValueOfString(r.without(value.String()))
			}
			return value
		})
		return true
	})
}

// eachValue calls message for each message in a field, and sets its other values to what
// scalar returns for them.
func eachValue(m protoreflect.Message, fd protoreflect.FieldDescriptor, message func(protoreflect.Message),
	scalar func(protoreflect.FieldDescriptor, protoreflect.Value) protoreflect.Value) {
	switch {
	case fd.IsMap():
		entries, of := m.Mutable(fd).Map(), fd.MapValue()
		entries.Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
			if of.Message() != nil {
				message(value.Message())
			} else {
				entries.Set(key, scalar(of, value))
			}
			return true
		})
	case fd.IsList():
		list := m.Mutable(fd).List()
		for i := range list.Len() {
			if fd.Message() != nil {
				message(list.Get(i).Message())
			} else {
				list.Set(i, scalar(fd, list.Get(i)))
			}
		}
	case fd.Message() != nil:
		message(m.Mutable(fd).Message())
	default:
		m.Set(fd, scalar(fd, m.Get(fd)))
	}
}
