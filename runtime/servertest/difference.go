//runtime:with eventlog

package servertest

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// difference says in words how events that are stored differ from those that should be,
// or returns "" if they don't.
func difference[Event proto.Message](got, want []Event) string {
	equal := func(a, b Event) bool { return proto.Equal(a, b) }
	if slices.EqualFunc(got, want, equal) {
		return ""
	}
	var order []int // the numbers of the events that should be stored, as they are stored; 0 for others
	for _, event := range got {
		number := 0
		for i := range want {
			if equal(want[i], event) && !slices.Contains(order, i+1) {
				number = i + 1
				break
			}
		}
		order = append(order, number)
	}
	missing := 1
	for slices.Contains(order, missing) {
		missing++
	}
	switch {
	case len(got) > len(want):
		return fmt.Sprintf("acknowledged %s, stored %d: is one appended twice?", counted(len(want), "event"), len(got))
	case len(got) < len(want):
		return fmt.Sprintf("acknowledged %s, stored %d, and number %d is missing: is an event left out, appended after the answer, or an error ignored?", counted(len(want), "event"), len(got), missing)
	case !slices.Contains(order, 0):
		return fmt.Sprintf("the events of the call are stored in the order %v: are they appended at the same time, or sorted?", order)
	}
	for i := range want {
		if !equal(got[i], want[i]) {
			return fmt.Sprintf("event %d of the call is stored %s", i+1, changed(got[i].ProtoReflect(), want[i].ProtoReflect(), ""))
		}
	}
	return ""
}

// counted returns a number of things in words.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// changed says in words how a stored message differs from what it should be, by the first
// field that does, or returns "".
func changed(got, want protoreflect.Message, path string) string {
	fields := want.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		name, is, was := path+string(fd.Name()), got.Get(fd), want.Get(fd)
		switch {
		case got.Has(fd) != want.Has(fd) && want.Has(fd):
			return fmt.Sprintf("without %s, which was %s", name, shown(want, fd))
		case got.Has(fd) != want.Has(fd):
			return fmt.Sprintf("with %s %s, which was not set", name, shown(got, fd))
		case is.Equal(was):
		case fd.Message() != nil && !fd.IsList() && !fd.IsMap():
			return changed(is.Message(), was.Message(), name+".")
		default:
			return fmt.Sprintf("with %s %s, which was %s", name, shown(got, fd), shown(want, fd))
		}
	}
	if !slices.Equal(got.GetUnknown(), want.GetUnknown()) {
		return "without its unknown fields, which newer clients may send: is it copied field by field?"
	}
	return ""
}

// shown returns the value of a field for people, cut if it is long.
func shown(message protoreflect.Message, fd protoreflect.FieldDescriptor) string {
	value := message.Get(fd)
	text := value.String()
	switch {
	case fd.Message() != nil || fd.IsList(): // a map has entries, which are messages
		alone := message.New()
		alone.Set(fd, value)
		text = strings.Join(strings.Fields(prototext.MarshalOptions{}.Format(alone.Interface())), " ")
		text = strings.TrimSpace(strings.TrimPrefix(text, string(fd.Name())+":"))
	case fd.Kind() == protoreflect.StringKind:
		text = fmt.Sprintf("%q", value.String())
	}
	if runes := []rune(text); len(runes) > 60 {
		return fmt.Sprintf("%s… (%d bytes)", string(runes[:50]), len(text))
	}
	return text
}
