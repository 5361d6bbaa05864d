//runtime:with validate

package servertest

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func init() {
	keepRules = func(m protoreflect.Message, f filler) {
		ruled{f}.message(m, maxRequired)
		warn(m)
	}
	addRequired = func(m protoreflect.Message, f filler) {
		ruled{f}.least(m)
		warn(m)
	}
	valid = func(m proto.Message) bool { return protovalidate.Validate(m) == nil }
}

const (
	// How deep messages are set that must be there.
	maxRequired = 32
	// How many values are tried for a field alone, for a field together with the rules
	// of its message, and how many elements a list or map gets at most.
	mostTries    = 1000
	fewTries     = 24
	mostElements = 10_000
)

// ruled changes filled messages until they keep their rules of protovalidate. It tries
// values: those that the rules name, and those that they most likely are about.
type ruled struct{ filler }

// message repairs a message from the inside out.
func (r ruled) message(m protoreflect.Message, depth int) {
	if depth == 0 || isValue(m.Descriptor()) {
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		rules, _ := protovalidate.ResolveFieldRules(fd)
		if rules.GetRequired() && !m.Has(fd) && fd.Message() != nil && !fd.IsList() && !fd.IsMap() {
			r.fill(m.Mutable(fd).Message(), 0)
		}
		if !m.Has(fd) && fd.HasPresence() {
			continue
		}
		eachMessage(m, fd, func(inner protoreflect.Message) { r.message(inner, depth-1) })
		if rules != nil && !r.keeps(m, fd) {
			r.field(m, fd, rules, depth)
		}
	}
	r.oneofs(m)
	if !r.keeps(m, m.Descriptor()) {
		r.together(m)
	}
}

// eachMessage calls do with the messages in a field.
func eachMessage(m protoreflect.Message, fd protoreflect.FieldDescriptor, do func(protoreflect.Message)) {
	switch {
	case !m.Has(fd):
	case fd.IsMap():
		if fd.MapValue().Message() != nil {
			m.Mutable(fd).Map().Range(func(_ protoreflect.MapKey, value protoreflect.Value) bool {
				do(value.Message())
				return true
			})
		}
	case fd.Message() == nil:
	case fd.IsList():
		list := m.Mutable(fd).List()
		for i := range list.Len() {
			do(list.Get(i).Message())
		}
	default:
		do(m.Mutable(fd).Message())
	}
}

// violations returns what a message violates of the rules of one of its fields or
// oneofs, or of those of the message as a whole.
func violations(m protoreflect.Message, of protoreflect.Descriptor) (violated []*protovalidate.Violation, err error) {
	err = protovalidate.Validate(m.Interface(), protovalidate.WithFilter(protovalidate.FilterFunc(
		func(_ protoreflect.Message, d protoreflect.Descriptor) bool { return d == of })))
	var invalid *protovalidate.ValidationError
	if errors.As(err, &invalid) {
		return invalid.Violations, nil
	}
	return nil, err
}

func (r ruled) keeps(m protoreflect.Message, of protoreflect.Descriptor) bool {
	violated, err := violations(m, of)
	return err == nil && len(violated) == 0
}

// field gives a field a value that keeps its rules, if one is found.
func (r ruled) field(m protoreflect.Message, fd protoreflect.FieldDescriptor, rules *validate.FieldRules, depth int) {
	switch {
	case fd.IsMap():
		r.entries(m, fd, rules.GetMap(), depth)
	case fd.IsList():
		r.elements(m, fd, rules.GetRepeated(), depth)
	default:
		before := m.Get(fd)
		for value := range limited(candidates(fd, rules, r.number(fd)), mostTries) {
			if m.Set(fd, value); r.keeps(m, fd) {
				return
			}
		}
		m.Set(fd, before)
	}
}

// number returns what the values of a field are made from: the same number each time,
// or another one if the field is unique. A unique text gets a negative one.
func (r ruled) number(fd protoreflect.FieldDescriptor) int64 {
	if slices.Contains(r.unique, string(fd.FullName())) {
		return -int64(made.Add(1)) - 1
	}
	return 1
}

// elements fills a list with as many elements as it must have, at least one.
func (r ruled) elements(m protoreflect.Message, fd protoreflect.FieldDescriptor, rules *validate.RepeatedRules, depth int) {
	want := max(1, rules.GetMinItems())
	if rules.HasMaxItems() {
		want = min(want, rules.GetMaxItems())
	}
	made := m.NewField(fd).List()
	if fd.Message() != nil && !isValue(fd.Message()) {
		for range min(want, mostElements) {
			element := made.NewElement()
			r.fill(element.Message(), maxDepth-1)
			r.message(element.Message(), depth-1)
			made.Append(element)
		}
		m.Set(fd, protoreflect.ValueOfList(made))
		return
	}
	values := r.distinct(min(want, mostElements), fd, rules.GetItems(), func(value protoreflect.Value) bool {
		alone := m.NewField(fd).List()
		alone.Append(value)
		m.Set(fd, protoreflect.ValueOfList(alone))
		return elementKeeps(m, fd, false)
	})
	for i := range values {
		made.Append(values[i])
	}
	m.Set(fd, protoreflect.ValueOfList(made))
}

// entries fills a map with as many entries as it must have, at least one.
func (r ruled) entries(m protoreflect.Message, fd protoreflect.FieldDescriptor, rules *validate.MapRules, depth int) {
	want := max(1, rules.GetMinPairs())
	if rules.HasMaxPairs() {
		want = min(want, rules.GetMaxPairs())
	}
	var key protoreflect.Value
	set := func(key, value protoreflect.Value) {
		alone := m.NewField(fd).Map()
		alone.Set(key.MapKey(), value)
		m.Set(fd, protoreflect.ValueOfMap(alone))
	}
	value := func() protoreflect.Value {
		value := m.NewField(fd).Map().NewValue()
		if fd.MapValue().Message() != nil {
			r.fill(value.Message(), maxDepth-1)
			r.message(value.Message(), depth-1)
		} else {
			value = scalar(fd.MapValue())
		}
		return value
	}
	keys := r.distinct(min(want, mostElements), fd.MapKey(), rules.GetKeys(), func(candidate protoreflect.Value) bool {
		set(candidate, value())
		return elementKeeps(m, fd, true)
	})
	made := m.NewField(fd).Map()
	for _, key = range keys {
		held := value()
		if set(key, held); !elementKeeps(m, fd, false) {
			for candidate := range limited(candidates(fd.MapValue(), rules.GetValues(), 1), mostTries) {
				if set(key, candidate); elementKeeps(m, fd, false) {
					held = candidate
					break
				}
			}
		}
		made.Set(key.MapKey(), held)
	}
	m.Set(fd, protoreflect.ValueOfMap(made))
}

// distinct returns as many values as are wanted that keep the rules of an element, no
// two the same, and at least one.
func (r ruled) distinct(want uint64, fd protoreflect.FieldDescriptor, rules *validate.FieldRules, keeps func(protoreflect.Value) bool) (values []protoreflect.Value) {
	seen := map[string]bool{}
	for n := int64(1); uint64(len(values)) < want && n < int64(want)+8; n++ {
		for value := range limited(candidates(fd, rules, n), mostTries) {
			if uint64(len(values)) == want {
				break
			}
			if text := value.String(); !seen[text] && keeps(value) {
				seen[text] = true
				values = append(values, value)
				if n > 1 {
					break
				}
			}
		}
	}
	if len(values) == 0 && want > 0 {
		for value := range candidates(fd, nil, 1) {
			return []protoreflect.Value{value}
		}
	}
	return values
}

// elementKeeps reports whether the only element of a list or map keeps the rules of
// elements; of a map either those of keys, or those of values.
func elementKeeps(m protoreflect.Message, fd protoreflect.FieldDescriptor, key bool) bool {
	violated, err := violations(m, fd)
	return err == nil && !slices.ContainsFunc(violated, func(v *protovalidate.Violation) bool {
		elements := v.Proto.GetField().GetElements()
		return len(elements) > 0 && elements[0].HasSubscript() && v.Proto.GetForKey() == key
	})
}

// oneofs sets a member of each oneof that must have one, and leaves one field of those
// that exclude each other by the rules of a message.
func (r ruled) oneofs(m protoreflect.Message) {
	for i := range m.Descriptor().Oneofs().Len() {
		oneof := m.Descriptor().Oneofs().Get(i)
		for j := 0; j < oneof.Fields().Len() && !r.keeps(m, oneof); j++ {
			if fd := oneof.Fields().Get(j); fd.Message() == nil {
				m.Set(fd, scalar(fd))
			}
		}
	}
	rules, _ := protovalidate.ResolveMessageRules(m.Descriptor())
	for _, rule := range rules.GetOneof() {
		kept := false
		for _, unique := range []bool{true, false} {
			for _, name := range rule.GetFields() {
				fd := m.Descriptor().Fields().ByName(protoreflect.Name(name))
				if fd == nil || !m.Has(fd) || slices.Contains(r.unique, string(fd.FullName())) != unique {
					continue
				}
				if kept {
					m.Clear(fd)
				}
				kept = true
			}
		}
	}
}

// together looks for values with which a message keeps its rules as a whole: it changes
// a field, then two.
func (r ruled) together(m protoreflect.Message) {
	own := func() bool {
		return protovalidate.Validate(m.Interface(), protovalidate.WithFilter(protovalidate.FilterFunc(
			func(_ protoreflect.Message, d protoreflect.Descriptor) bool {
				return d == m.Descriptor() || d.Parent() == m.Descriptor()
			}))) == nil
	}
	var fields []protoreflect.FieldDescriptor
	var values [][]protoreflect.Value
	for i := range m.Descriptor().Fields().Len() {
		fd := m.Descriptor().Fields().Get(i)
		if slices.Contains(r.unique, string(fd.FullName())) || fd.ContainingOneof() != nil && !m.Has(fd) {
			continue
		}
		var tries []protoreflect.Value
		if !fd.IsList() && !fd.IsMap() {
			rules, _ := protovalidate.ResolveFieldRules(fd)
			tries = append(besides(m, fd), first(candidates(fd, rules, 1), fewTries)...)
		}
		fields, values = append(fields, fd), append(values, append(tries, protoreflect.Value{}))
	}
	set := func(fd protoreflect.FieldDescriptor, value protoreflect.Value) {
		if value.IsValid() {
			m.Set(fd, value)
		} else {
			m.Clear(fd)
		}
	}
	held := func(fd protoreflect.FieldDescriptor) (before protoreflect.Value) {
		if m.Has(fd) {
			before = m.Get(fd)
		}
		return before
	}
	for i, fd := range fields {
		before := held(fd)
		for _, value := range values[i] {
			if set(fd, value); own() {
				return
			}
		}
		set(fd, before)
	}
	left := 20_000
	for i, one := range fields {
		before := held(one)
		for _, value := range values[i] {
			set(one, value)
			for j := i + 1; j < len(fields); j++ {
				beforeOther := held(fields[j])
				for _, value := range values[j] {
					if left--; left < 0 {
						set(one, before)
						set(fields[j], beforeOther)
						return
					}
					if set(fields[j], value); own() {
						return
					}
				}
				set(fields[j], beforeOther)
			}
		}
		set(one, before)
	}
}

// least fills of an empty message what its rules ask for.
func (r ruled) least(m protoreflect.Message) {
	for range m.Descriptor().Fields().Len() {
		var invalid *protovalidate.ValidationError
		if !errors.As(protovalidate.Validate(m.Interface()), &invalid) {
			return
		}
		for _, violation := range invalid.Violations {
			for i := range m.Descriptor().Fields().Len() {
				fd := m.Descriptor().Fields().Get(i)
				elements := violation.Proto.GetField().GetElements()
				if len(elements) > 0 && (elements[0].GetFieldName() == string(fd.Name()) ||
					fd.ContainingOneof() != nil && elements[0].GetFieldName() == string(fd.ContainingOneof().Name())) && !m.Has(fd) {
					full := m.New()
					r.fill(full, maxDepth)
					r.message(full, maxRequired)
					if full.Has(fd) {
						m.Set(fd, full.Get(fd))
					}
				}
			}
		}
	}
	if !r.keeps(m, m.Descriptor()) {
		r.together(m)
	}
}

var warned sync.Map // full names of messages

// warn prints once for each type what is wrong with its sample. go test shows it with the
// tests that fail because of it.
func warn(m protoreflect.Message) {
	text := unkept(m)
	if text == "" {
		return
	}
	if _, again := warned.LoadOrStore(m.Descriptor().FullName(), true); !again {
		fmt.Fprintln(os.Stderr, text)
	}
}

// unkept returns which rules a sample breaks, and what to do; "" if it breaks none.
func unkept(m protoreflect.Message) string {
	err := protovalidate.Validate(m.Interface())
	if err == nil {
		return ""
	}
	return fmt.Sprintf("servertest: no sample of %s was found that keeps the rules of its proto: %v\n"+
		"Give its fields examples in the proto, such as [(buf.validate.field).string.example = \"...\"], "+
		"or make requests by hand: {RPC}Request of the contract in service_test.go, and the one in the RPC's own test.", m.Descriptor().FullName(), err)
}
