//runtime:with eventlog

package servertest

import (
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

const (
	// How deep in an event fields are changed, and how many times in one part.
	unusualDepth = 4
	mostUnusual  = 200
)

// variant is an event that differs in one field from one that is usual.
type variant[Event any] struct {
	what  string
	event Event
}

// change changes a field of a message, and says how. It returns "" if it does not.
type change func(m protoreflect.Message, fd protoreflect.FieldDescriptor) string

// partial tests events without one of their fields, an empty one, and a request without
// any event.
func (c *intake[Request, Event, Reply]) partial(t *testing.T) {
	variants := c.variants(t, func(m protoreflect.Message, fd protoreflect.FieldDescriptor) string {
		if !m.Has(fd) {
			return ""
		}
		m.Clear(fd)
		return "without"
	})
	variants = append(variants, variant[Event]{"that is empty", empty[Event]()})
	try := c.takesVariants(t, variants)
	if c.holder != nil {
		request := proto.CloneOf(c.Request())
		request.ProtoReflect().Clear(c.holder)
		before := len(try.records(0))
		if proto.CheckInitialized(request) != nil {
			return
		}
		_, err := try.call(try.context(), request)
		if err != nil {
			try.refused("a request without an event", err)
		}
		switch got := try.records(0)[before:]; {
		case len(got) > 0 && proto.Size(got[0].Message) > 0:
			try.errorf("a request without an event stored %v", got[0].Message)
		case err == nil && !c.holder.IsList() && len(got) == 0:
			try.errorf("a request without an event was acknowledged, and nothing stored: is it an error, InvalidArgument?")
		}
	}
}

// long tests events with a text that is longer than most.
func (c *intake[Request, Event, Reply]) long(t *testing.T) {
	text := strings.Repeat("long text ", 6554) // 64 KiB
	c.takesVariants(t, c.variants(t, func(m protoreflect.Message, fd protoreflect.FieldDescriptor) string {
		switch fd.Kind() {
		case protoreflect.StringKind:
			return set(m, fd, protoreflect.ValueOfString(text), "with 64 KiB of text in")
		case protoreflect.BytesKind:
			return set(m, fd, protoreflect.ValueOfBytes([]byte(text)), "with 64 KiB in")
		}
		return ""
	}))
}

// unusual tests events with text and numbers as programs get them wrong.
func (c *intake[Request, Event, Reply]) unusual(t *testing.T) {
	var all []variant[Event]
	for _, change := range []change{
		func(m protoreflect.Message, fd protoreflect.FieldDescriptor) string {
			switch fd.Kind() {
			case protoreflect.StringKind:
				return set(m, fd, protoreflect.ValueOfString(" MiXed Größe 東京 🙂 \"a\" 'b' \\ %s <c> & "), "with mixed case, quotes and non-ASCII text in")
			case protoreflect.BytesKind:
				return set(m, fd, protoreflect.ValueOfBytes([]byte{0, 1, 0x7f, 0x80, 0xff, 0}), "with bytes that aren't UTF-8 in")
			case protoreflect.BoolKind:
				return set(m, fd, protoreflect.ValueOfBool(false), "with false in")
			case protoreflect.EnumKind:
				values := fd.Enum().Values()
				return set(m, fd, protoreflect.ValueOfEnum(values.Get(values.Len()-1).Number()), "with the last value in")
			}
			if value, ok := least(fd); ok {
				return set(m, fd, value, "with the least number in")
			}
			return ""
		},
		func(m protoreflect.Message, fd protoreflect.FieldDescriptor) string {
			if value, ok := greatest(fd); ok {
				return set(m, fd, value, "with the greatest number in")
			}
			return ""
		},
		func(m protoreflect.Message, fd protoreflect.FieldDescriptor) string {
			switch {
			case fd.IsList() && m.Get(fd).List().Len() > 0:
				list := m.Mutable(fd).List()
				list.Append(list.Get(0))
				list.Append(list.Get(0))
				return "with three elements in"
			case fd.IsMap() && fd.MapKey().Kind() == protoreflect.StringKind && m.Get(fd).Map().Len() > 0:
				entries := m.Mutable(fd).Map()
				entries.Range(func(_ protoreflect.MapKey, value protoreflect.Value) bool {
					entries.Set(protoreflect.ValueOfString("Another 🙂").MapKey(), value)
					return false
				})
				return "with another key in"
			}
			return ""
		},
	} {
		all = append(all, c.variants(t, change)...)
	}
	c.takesVariants(t, all)
}

// set sets a field to a value: one that is repeated to that alone, and a map's first.
func set(m protoreflect.Message, fd protoreflect.FieldDescriptor, value protoreflect.Value, what string) string {
	switch {
	case fd.IsMap():
		return ""
	case fd.IsList():
		m.Clear(fd)
		m.Mutable(fd).List().Append(value)
	default:
		m.Set(fd, value)
	}
	return what
}

func least(fd protoreflect.FieldDescriptor) (value protoreflect.Value, ok bool) {
	switch fd.Kind() {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(math.MinInt32), true
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(math.MinInt64), true
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(-math.MaxFloat32), true
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(math.SmallestNonzeroFloat64), true
	}
	return value, false
}

func greatest(fd protoreflect.FieldDescriptor) (value protoreflect.Value, ok bool) {
	switch fd.Kind() {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(math.MaxInt32), true
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(math.MaxInt64), true
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(math.MaxUint32), true
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(math.MaxUint64), true
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(math.MaxFloat32), true
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(math.MaxFloat64), true
	}
	return value, false
}

// variants returns events in each of which one field is changed.
func (c *intake[Request, Event, Reply]) variants(t *testing.T, change change) (variants []variant[Event]) {
	t.Helper()
	for n := 0; len(variants) < mostUnusual; n++ {
		sent, _ := c.make(t, 1)
		event := proto.CloneOf(sent[0]) // what a request holds must not change
		left := n
		what, found := changeField(event.ProtoReflect(), change, &left, "", unusualDepth)
		if !found {
			return variants
		}
		if what != "" {
			variants = append(variants, variant[Event]{what, event})
		}
	}
	return variants
}

// changeField changes the field that comes after left others in a message and in those
// that it holds. It returns false if there are no more. Of a oneof it sets each member.
func changeField(m protoreflect.Message, change change, left *int, path string, depth int) (what string, found bool) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if *left--; *left < 0 {
			if what := change(m, fd); what != "" {
				return what + " " + path + string(fd.Name()), true
			}
			return "", true
		}
		if depth == 0 || fd.Message() == nil || !m.Has(fd) {
			continue
		}
		for _, held := range heldMessages(m, fd) {
			if what, found := changeField(held, change, left, path+string(fd.Name())+".", depth-1); found {
				return what, true
			}
		}
	}
	return "", false
}

// heldMessages returns the message in a field, or the first one of several.
func heldMessages(m protoreflect.Message, fd protoreflect.FieldDescriptor) (held []protoreflect.Message) {
	switch {
	case fd.IsList():
		return []protoreflect.Message{m.Mutable(fd).List().Get(0).Message()}
	case !fd.IsMap():
		return []protoreflect.Message{m.Mutable(fd).Message()}
	case fd.MapValue().Message() != nil:
		m.Mutable(fd).Map().Range(func(_ protoreflect.MapKey, value protoreflect.Value) bool {
			held = append(held, value.Message())
			return false
		})
	}
	return held
}

// takesVariants tests that each event is either stored or refused, with a code that says
// what the caller can do.
func (c *intake[Request, Event, Reply]) takesVariants(t *testing.T, variants []variant[Event]) *trial[Request, Event, Reply] {
	t.Helper()
	try := c.on(t, memoryLog(t))
	var last eventlog.Position
	for _, variant := range variants {
		if proto.CheckInitialized(variant.event) != nil {
			continue // no client can send it
		}
		sent, requests := c.instead(t, variant.event)
		_, err := try.call(try.context(), requests...)
		got := try.records(last)
		switch {
		case err != nil && len(got) > 0:
			try.errorf("an event %s is stored, though the call ended with %v", variant.what, err)
		case err != nil:
			try.refused("an event "+variant.what, err)
		default:
			if text := difference(messages(got), c.stored(sent)); text != "" {
				try.errorf("an event %s: %s", variant.what, text)
			}
		}
		if len(got) > 0 {
			last = got[len(got)-1].Position
		}
	}
	return try
}
