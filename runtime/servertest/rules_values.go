//runtime:with validate

package servertest

import (
	"iter"
	"math"
	"slices"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// candidates yields values to try for a field, or for an element of it, the likely ones
// first. Those that rules do not name are made from a number, so that another one makes
// others. If it is negative, they come first.
func candidates(fd protoreflect.FieldDescriptor, rules *validate.FieldRules, number int64) iter.Seq[protoreflect.Value] {
	if fd.Message() != nil {
		return messageCandidates(fd, rules, number)
	}
	var known []protoreflect.Value
	if number == 1 {
		known = append(known, scalar(fd))
	}
	for _, value := range namedBy(rules) {
		if value, ok := as(fd, value); ok {
			known = append(known, value)
		}
	}
	if number < 0 {
		return chain(scalars(fd, rules, known, number), slices.Values(known))
	}
	return chain(slices.Values(known), scalars(fd, rules, known, number))
}

func chain(all ...iter.Seq[protoreflect.Value]) iter.Seq[protoreflect.Value] {
	return func(yield func(protoreflect.Value) bool) {
		for _, values := range all {
			for value := range values {
				if !yield(value) {
					return
				}
			}
		}
	}
}

// scalars yields values made from a number, near the known ones.
func scalars(fd protoreflect.FieldDescriptor, rules *validate.FieldRules, known []protoreflect.Value, number int64) iter.Seq[protoreflect.Value] {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return each(fd, slices.Values([]bool{true, false}), protoreflect.ValueOfBool)
	case protoreflect.EnumKind:
		return func(yield func(protoreflect.Value) bool) {
			for i := range fd.Enum().Values().Len() {
				if !yield(protoreflect.ValueOfEnum(fd.Enum().Values().Get(i).Number())) {
					return
				}
			}
		}
	case protoreflect.StringKind:
		return each(fd, texts(string(fd.Name()), rules.GetString(), number), protoreflect.ValueOfString)
	case protoreflect.BytesKind:
		return each(fd, bytesLike(string(fd.Name()), rules.GetBytes(), number), protoreflect.ValueOfBytes)
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return each(fd, floats(known, number), protoreflect.ValueOfFloat64)
	}
	return each(fd, integers(known, number), protoreflect.ValueOfInt64)
}

// each yields values as those of a field.
func each[T any](fd protoreflect.FieldDescriptor, values iter.Seq[T], valueOf func(T) protoreflect.Value) iter.Seq[protoreflect.Value] {
	return func(yield func(protoreflect.Value) bool) {
		for value := range values {
			if value, ok := as(fd, valueOf(value)); ok && !yield(value) {
				return
			}
		}
	}
}

// namedBy returns the values that the rules of a field name: examples, the only ones, and
// bounds, which also are in the elements of a list.
func namedBy(rules *validate.FieldRules) (values []protoreflect.Value) {
	m := rules.ProtoReflect()
	fd := m.WhichOneof(m.Descriptor().Oneofs().ByName("type"))
	if fd == nil {
		return nil
	}
	m = m.Get(fd).Message()
	for _, name := range []protoreflect.Name{"example", "const", "in", "gte", "gt", "lte", "lt", "within"} {
		switch fd := m.Descriptor().Fields().ByName(name); {
		case fd == nil || !m.Has(fd):
		case fd.IsList():
			for i := range m.Get(fd).List().Len() {
				values = append(values, m.Get(fd).List().Get(i))
			}
		default:
			values = append(values, m.Get(fd))
		}
	}
	return values
}

// as returns a value as one of a field, if it can be.
func as(fd protoreflect.FieldDescriptor, value protoreflect.Value) (protoreflect.Value, bool) {
	var bits int64 // of an integer
	switch of := value.Interface().(type) {
	case string:
		return value, fd.Kind() == protoreflect.StringKind
	case []byte:
		return value, fd.Kind() == protoreflect.BytesKind
	case bool:
		return value, fd.Kind() == protoreflect.BoolKind
	case float32:
		return value, fd.Kind() == protoreflect.FloatKind
	case float64:
		if fd.Kind() == protoreflect.FloatKind {
			return protoreflect.ValueOfFloat32(float32(of)), true
		}
		return value, fd.Kind() == protoreflect.DoubleKind
	case int32:
		bits = int64(of)
	case int64:
		bits = of
	case uint32:
		bits = int64(of)
	case uint64:
		bits = int64(of)
	default:
		return value, false
	}
	switch fd.Kind() {
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(bits)), true
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(bits)), true
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(bits), true
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(bits)), true
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(bits)), true
	}
	return value, false
}

// integers yields integers beside those that rules name, unsigned ones as their bits.
func integers(known []protoreflect.Value, number int64) iter.Seq[int64] {
	bases := []int64{0}
	for _, value := range known {
		switch of := value.Interface().(type) {
		case int32:
			bases = append(bases, int64(of))
		case int64:
			bases = append(bases, of)
		case uint32:
			bases = append(bases, int64(of))
		case uint64:
			bases = append(bases, int64(of))
		}
	}
	away := max(number, -number)
	return func(yield func(int64) bool) {
		for _, base := range bases {
			if !yield(base+away) || !yield(base-away) {
				return
			}
		}
		// The largest first: a unique number is then a multiple of the same one.
		for _, round := range []int64{1 << 20, 1_000_000, 86_400, 1000, 100, 60, 24, 10} {
			if !yield(away * round) {
				return
			}
		}
		for step := range int64(20) {
			for _, base := range bases {
				if !yield(base+away+step) || !yield(base-away-step) {
					return
				}
			}
		}
	}
}

// floats yields numbers beside and between those that rules name.
func floats(known []protoreflect.Value, number int64) iter.Seq[float64] {
	bases := []float64{0}
	for _, value := range known {
		switch of := value.Interface().(type) {
		case float32:
			bases = append(bases, float64(of))
		case float64:
			bases = append(bases, of)
		}
	}
	away := float64(max(number, -number))
	return func(yield func(float64) bool) {
		for _, base := range bases {
			for _, step := range []float64{away, 1 / (1 + away), 1e-3 * away, 1e-6} {
				if !yield(base+step) || !yield(base-step) {
					return
				}
			}
			for _, other := range bases {
				if !yield(base + (other-base)/(1+away)) {
					return
				}
			}
			if !yield(math.Nextafter(base, math.Inf(1))) || !yield(math.Nextafter(base, math.Inf(-1))) {
				return
			}
		}
	}
}

// messageCandidates yields messages of well-known types.
func messageCandidates(fd protoreflect.FieldDescriptor, rules *validate.FieldRules, number int64) iter.Seq[protoreflect.Value] {
	name := fd.Message().FullName()
	of := fd.Message().Fields()
	fresh := func() protoreflect.Message { return newMessage(fd) }
	return func(yield func(protoreflect.Value) bool) {
		moment := func(seconds int64, nanos int32) bool {
			m := fresh()
			m.Set(of.ByName("seconds"), protoreflect.ValueOfInt64(seconds))
			m.Set(of.ByName("nanos"), protoreflect.ValueOfInt32(nanos))
			return yield(protoreflect.ValueOfMessage(m))
		}
		switch name {
		case "google.protobuf.Duration":
			for d := range durations(rules, number) {
				if p := durationpb.New(d); !moment(p.GetSeconds(), p.GetNanos()) {
					return
				}
			}
		case "google.protobuf.Timestamp":
			for t := range times(rules, number) {
				if p := timestamppb.New(t); !moment(p.GetSeconds(), p.GetNanos()) {
					return
				}
			}
		case "google.protobuf.Any":
			for _, url := range append(rules.GetAny().GetIn(), "type.googleapis.com/google.protobuf.Empty", "type.googleapis.com/google.protobuf.Duration") {
				m := fresh()
				m.Set(of.ByName("type_url"), protoreflect.ValueOfString(url))
				if !yield(protoreflect.ValueOfMessage(m)) {
					return
				}
			}
		case "google.protobuf.FieldMask":
			masks := [][]string{rules.GetFieldMask().GetConst().GetPaths()}
			for _, path := range append(rules.GetFieldMask().GetIn(), "paths", "name", "id") {
				masks = append(masks, []string{path})
			}
			for _, example := range rules.GetFieldMask().GetExample() {
				masks = append(masks, example.GetPaths())
			}
			for _, mask := range masks {
				m := fresh()
				for _, path := range mask {
					m.Mutable(of.ByName("paths")).List().Append(protoreflect.ValueOfString(path))
				}
				if !yield(protoreflect.ValueOfMessage(m)) {
					return
				}
			}
		default:
			if !isValue(fd.Message()) {
				return
			}
			for value := range candidates(of.ByName("value"), rules, number) { // a wrapper
				m := fresh()
				m.Set(of.ByName("value"), value)
				if !yield(protoreflect.ValueOfMessage(m)) {
					return
				}
			}
		}
	}
}

// newMessage returns an empty message for a field, or for an element of one.
func newMessage(fd protoreflect.FieldDescriptor) protoreflect.Message {
	if known, err := protoregistry.GlobalTypes.FindMessageByName(fd.Message().FullName()); err == nil {
		return known.New()
	}
	return dynamicpb.NewMessage(fd.Message())
}

// isValue reports whether messages of a type are values, whose rules are those of the
// fields that have them.
func isValue(message protoreflect.MessageDescriptor) bool {
	switch message.FullName() {
	case "google.protobuf.Duration", "google.protobuf.Timestamp", "google.protobuf.Any", "google.protobuf.FieldMask",
		"google.protobuf.BoolValue", "google.protobuf.BytesValue", "google.protobuf.StringValue",
		"google.protobuf.DoubleValue", "google.protobuf.FloatValue", "google.protobuf.Int32Value",
		"google.protobuf.Int64Value", "google.protobuf.UInt32Value", "google.protobuf.UInt64Value":
		return true
	}
	return false
}

func durations(rules *validate.FieldRules, number int64) iter.Seq[time.Duration] {
	bases := []time.Duration{0}
	for _, value := range namedBy(rules) {
		if m, ok := value.Interface().(protoreflect.Message); ok {
			if p, ok := m.Interface().(*durationpb.Duration); ok {
				bases = append(bases, p.AsDuration())
			}
		}
	}
	n := max(number, -number)
	return func(yield func(time.Duration) bool) {
		for _, base := range bases {
			for _, step := range []time.Duration{0, time.Duration(n) * time.Second, time.Duration(n) * time.Nanosecond} {
				if !yield(base+step) || !yield(base-step) {
					return
				}
			}
			for _, other := range bases {
				if !yield(base + (other-base)/2) {
					return
				}
			}
		}
	}
}

func times(rules *validate.FieldRules, number int64) iter.Seq[time.Time] {
	bases := []time.Time{time.Unix(1, 0)}
	for _, value := range namedBy(rules) {
		if m, ok := value.Interface().(protoreflect.Message); ok {
			if p, ok := m.Interface().(*timestamppb.Timestamp); ok {
				bases = append(bases, p.AsTime())
			}
		}
	}
	bases = append(bases, time.Now())
	steps := []time.Duration{0, 24 * time.Hour, time.Hour}
	if within := rules.GetTimestamp().GetWithin().AsDuration(); within > 0 {
		steps = []time.Duration{0, within / 2}
	}
	steps = append(steps, time.Duration(max(number, -number))*time.Second, 1)
	return func(yield func(time.Time) bool) {
		for _, base := range bases {
			for _, step := range steps {
				if !yield(base.Add(-step)) || !yield(base.Add(step)) {
					return
				}
			}
			for _, other := range bases {
				if !yield(base.Add(other.Sub(base) / 2)) {
					return
				}
			}
		}
	}
}

// besides returns values near those of other fields of a message: rules of the message
// compare fields.
func besides(m protoreflect.Message, fd protoreflect.FieldDescriptor) (values []protoreflect.Value) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		other := fields.Get(i)
		if other == fd || other.IsList() || other.IsMap() || other.Kind() != fd.Kind() {
			continue
		}
		switch {
		case fd.Message() != nil:
			if fd.Message() != other.Message() || !isValue(fd.Message()) || fd.Message().Fields().ByName("seconds") == nil {
				continue
			}
			seconds := fd.Message().Fields().ByName("seconds")
			for _, step := range []int64{0, 1, -1, 3600, -3600} {
				beside := newMessage(fd)
				beside.Set(seconds, protoreflect.ValueOfInt64(m.Get(other).Message().Get(seconds).Int()+step))
				values = append(values, protoreflect.ValueOfMessage(beside))
			}
		case fd.Kind() == protoreflect.StringKind, fd.Kind() == protoreflect.BytesKind, fd.Kind() == protoreflect.BoolKind:
			values = append(values, m.Get(other))
		case fd.Kind() == protoreflect.FloatKind, fd.Kind() == protoreflect.DoubleKind:
			for _, step := range []float64{0, 1, -1} {
				value, _ := as(fd, protoreflect.ValueOfFloat64(m.Get(other).Float()+step))
				values = append(values, value)
			}
		case fd.Kind() != protoreflect.EnumKind:
			for value := range integers([]protoreflect.Value{m.Get(other)}, 0) {
				if len(values) >= fewTries {
					break
				}
				if value, ok := as(fd, protoreflect.ValueOfInt64(value)); ok {
					values = append(values, value)
				}
			}
		}
	}
	return values
}

// limited yields the first so many values.
func limited(values iter.Seq[protoreflect.Value], most int) iter.Seq[protoreflect.Value] {
	return func(yield func(protoreflect.Value) bool) {
		n := 0
		for value := range values {
			if n++; n > most || !yield(value) {
				return
			}
		}
	}
}

func first(values iter.Seq[protoreflect.Value], most int) (all []protoreflect.Value) {
	for value := range limited(values, most) {
		all = append(all, value)
	}
	return all
}
