// Package compat compares versions of a message type by what matters to messages that are
// stored: whether those of the one are read rightly as the other.
package compat

import (
	"cmp"
	"fmt"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Verdict is what becomes of values that are stored.
type Verdict string

// The verdicts.
const (
	// Safe: each value is read as what it was.
	Safe Verdict = "safe"
	// Misreads: some value is read as another one, or is lost, or its whole message can't
	// be read.
	Misreads Verdict = "misreads"
)

// Finding is one difference between two versions of a message type.
type Finding struct {
	// Message is the former full name of the message or enum that differs.
	Message string
	// Path leads from the compared message to a field, by names as they were, such as
	// "items.price". What is reached by several paths has the first of them.
	Path string
	// Number is that of the field, or of the enum's value if that is what differs.
	Number int32
	// Was and Is describe it, such as "string" and "int64". Is is "" if there is none
	// any longer.
	Was, Is string
	// Wire is the verdict on messages in protobuf's binary format, as logs store them.
	Wire Verdict
	// JSON is the verdict on messages in protobuf's JSON format, as they are exported.
	JSON Verdict
	// Why is what becomes of stored values, as the end of a sentence: "the number 2 is
	// read as SENT". It is "" if a type is changed to another one, which Was and Is say.
	Why string
	// At is where the difference is in the version that is: the field, or the value of
	// an enum; if that is gone, the message or enum.
	At protoreflect.Descriptor

	in      protoreflect.FullName // of the messages, as they were, that can be affected; "" for any
	affects func(protoreflect.Message) bool
}

// Removed reports whether there is no such field or value any longer.
func (f Finding) Removed() bool { return f.Is == "" }

// Misreads reports whether the finding's verdict on messages as logs store them is [Misreads].
func (f Finding) Misreads() bool { return f.Wire == Misreads }

// Text returns the finding as a sentence without an end: "field 5 (amount) was string, is
// int64 now". stored, such as " in 3 events", comes after what was.
func (f Finding) Text(stored string) string {
	text := fmt.Sprintf("%s was %s%s, is %s now", f.what(), f.Was, stored, cmp.Or(f.Is, "gone"))
	if f.Why != "" {
		text += ": " + f.Why
	}
	return text
}

func (f Finding) what() string {
	switch f.At.(type) {
	case protoreflect.EnumValueDescriptor, protoreflect.EnumDescriptor:
		return fmt.Sprintf("value %d of enum %s (field %s)", f.Number, f.Message, f.Path)
	}
	return fmt.Sprintf("field %d (%s)", f.Number, f.Path)
}

// Affects reports whether a message of the version that was has what the finding is about:
// so if the finding's verdict is [Misreads], whether that message is misread.
func (f Finding) Affects(message protoreflect.Message) bool {
	return anyMessage(message, func(m protoreflect.Message) bool {
		return (f.in == "" || m.Descriptor().FullName() == f.in) && f.affects(m)
	})
}

// Compare returns how a message type that was differs from what it is now, of all that is
// stored of messages of it: fields and enum values that were added are not among that. What
// differs only in comments or in the order of declarations has no findings. Findings are in
// the order in which their fields were declared.
func Compare(was, is protoreflect.MessageDescriptor) []Finding {
	c := comparison{seen: map[pair]bool{}}
	c.messages("", was, is)
	return c.findings
}

type comparison struct {
	findings []Finding
	seen     map[pair]bool
}

// pair are two types that a field had and has.
type pair struct{ was, is protoreflect.Descriptor }

// add adds a finding about a field of a message, or of messages that fields have.
func (c *comparison) add(in protoreflect.MessageDescriptor, finding Finding, affects func(protoreflect.Message) bool) {
	if finding.Message == "" {
		finding.Message = string(in.FullName())
	}
	finding.in, finding.affects = in.FullName(), affects
	c.findings = append(c.findings, finding)
}

func (c *comparison) messages(path string, was, is protoreflect.MessageDescriptor) {
	if c.seen[pair{was, is}] {
		return
	}
	c.seen[pair{was, is}] = true
	for i := range was.Fields().Len() {
		c.field(path, was.Fields().Get(i), is)
	}
	c.required(path, was, is)
	c.oneofs(path, was, is)
	c.reserved(path, was, is)
}

// field compares a field with the one that has its number now.
func (c *comparison) field(above string, was protoreflect.FieldDescriptor, message protoreflect.MessageDescriptor) {
	path := below(above, was)
	is := message.Fields().ByNumber(was.Number())
	finding := Finding{Path: path, Number: int32(was.Number()), Was: describe(was), Wire: Safe, JSON: Safe, At: message}
	moved := message.Fields().ByName(was.Name())
	if moved != nil && (is == nil || is.Name() != was.Name()) {
		finding.Is, finding.At, finding.Wire = fmt.Sprintf("field %d", moved.Number()), moved, Misreads
		finding.Why = fmt.Sprintf("what is stored with number %d is read %s", was.Number(), readAs(is))
		if convertJSON(was, moved) != "" {
			finding.JSON = Misreads
		}
		c.add(was.ContainingMessage(), finding, has(was))
		return
	}
	if is == nil {
		finding.Why = "its values are kept, and read by nothing"
		if other := byJSON(message, was.JSONName()); other != nil {
			finding.JSON = Misreads
			finding.Why = fmt.Sprintf("its values are kept, and in JSON they are read as field %d (%s)", other.Number(), other.Name())
		}
		c.add(was.ContainingMessage(), finding, has(was))
		return
	}
	finding.At, finding.Is = is, describe(is)
	wire, json := convertWire(was, is), convertJSON(was, is)
	if wire == "" {
		c.name(finding, was, is)
		c.defaults(finding, was, is)
	}
	if wire != "" || json != "" || finding.Was != finding.Is {
		if wire != "" {
			finding.Wire, finding.Why = Misreads, wire
		}
		if json != "" {
			finding.JSON = Misreads
			if wire == "" {
				finding.Why = "in JSON, " + json
			}
		}
		if was.Name() != is.Name() && wire != "" {
			finding.Is = fmt.Sprintf("%s (%s)", finding.Is, is.Name())
			finding.JSON = Misreads
		}
		c.add(was.ContainingMessage(), finding, has(was))
	}
	if wire == "" {
		c.types(path, was, is)
	}
}

// readAs returns what the values with the number of a field are read as.
func readAs(field protoreflect.FieldDescriptor) string {
	if field == nil {
		return "by nothing"
	}
	return "as " + string(field.Name())
}

// name compares the names of fields with one number, which JSON has.
func (c *comparison) name(finding Finding, was, is protoreflect.FieldDescriptor) {
	if read := byJSON(is.ContainingMessage(), was.JSONName()); was.Name() != is.Name() || read == nil || read.Number() != was.Number() {
		finding.Was, finding.Is = "called "+string(was.Name()), "called "+string(is.Name())
		if read == nil || read.Number() != was.Number() {
			finding.JSON = Misreads
			finding.Why = fmt.Sprintf("in JSON, %s is not read as this field", was.JSONName())
		}
		if was.Name() == is.Name() {
			finding.Was, finding.Is = fmt.Sprintf("%q in JSON", was.JSONName()), fmt.Sprintf("%q in JSON", is.JSONName())
		}
		c.add(was.ContainingMessage(), finding, has(was))
	}
}

// types compares the types of fields whose values can be read.
func (c *comparison) types(path string, was, is protoreflect.FieldDescriptor) {
	switch {
	case was.Message() != nil && is.Message() != nil && (was.IsMap() || is.IsMap()):
		wasValue, isValue := was.Message().Fields().ByNumber(2), is.Message().Fields().ByNumber(2)
		c.types(path, wasValue, isValue)
	case was.Message() != nil && is.Message() != nil:
		c.messages(path, was.Message(), is.Message())
	case was.Enum() != nil && is.Enum() != nil:
		c.enums(path, was, is)
	}
}

// defaults compares what fields are read as that are not set.
func (c *comparison) defaults(finding Finding, was, is protoreflect.FieldDescriptor) {
	wasDefault, isDefault := unset(was), unset(is)
	if wasDefault == isDefault || wasDefault == "" || isDefault == "" || was.Cardinality() == protoreflect.Required {
		return
	}
	finding.Was, finding.Is = wasDefault+" where it is not set", isDefault+" where it is not set"
	finding.Wire, finding.JSON = Misreads, Misreads
	finding.Why = "that is what is read of events without it"
	c.add(was.ContainingMessage(), finding, hasNot(was))
}

// required looks for fields that have to be set, and were not.
func (c *comparison) required(path string, was, is protoreflect.MessageDescriptor) {
	for i := range is.Fields().Len() {
		field := is.Fields().Get(i)
		former := was.Fields().ByNumber(field.Number())
		if field.Cardinality() != protoreflect.Required || former != nil && former.Cardinality() == protoreflect.Required {
			continue
		}
		finding := Finding{
			Path: below(path, field), Number: int32(field.Number()), Was: "none", Is: describe(field), Wire: Misreads, JSON: Misreads, At: field,
			Why: "events without it can't be read",
		}
		affects := func(protoreflect.Message) bool { return true }
		if former != nil {
			finding.Was, affects = "not required", hasNot(former)
		}
		c.add(was, finding, affects)
	}
}

// oneofs looks for fields that exclude each other, and did not.
func (c *comparison) oneofs(path string, was, is protoreflect.MessageDescriptor) {
	for i := range is.Oneofs().Len() {
		oneof := is.Oneofs().Get(i)
		var before []protoreflect.FieldDescriptor // of the fields in it now, as they were
		for j := range oneof.Fields().Len() {
			if field := was.Fields().ByNumber(oneof.Fields().Get(j).Number()); field != nil {
				before = append(before, field)
			}
		}
		for j, field := range before {
			// The fields with which it could be set together.
			others := slices.DeleteFunc(slices.Clone(before[:j]), func(other protoreflect.FieldDescriptor) bool {
				return field.ContainingOneof() != nil && field.ContainingOneof() == other.ContainingOneof()
			})
			if len(others) == 0 {
				continue
			}
			c.add(was, Finding{
				Path: below(path, field), Number: int32(field.Number()), Was: "settable beside " + string(others[0].Name()), Is: "in oneof " + string(oneof.Name()), Wire: Misreads, JSON: Misreads,
				Why: "of events with both, only one is read", At: is.Fields().ByNumber(field.Number()),
			}, func(m protoreflect.Message) bool {
				return has(field)(m) && slices.ContainsFunc(others, func(other protoreflect.FieldDescriptor) bool { return has(other)(m) })
			})
		}
	}
}

// reserved looks for fields with numbers or names that were reserved, or left to extensions.
func (c *comparison) reserved(path string, was, is protoreflect.MessageDescriptor) {
	for i := range is.Fields().Len() {
		field := is.Fields().Get(i)
		finding := Finding{Path: below(path, field), Number: int32(field.Number()), Is: describe(field), Wire: Misreads, JSON: Safe, At: field}
		switch {
		case was.ReservedRanges().Has(field.Number()):
			finding.Was, finding.Why = "reserved", "what older programs sent with this number is read as "+string(field.Name())
		case was.ExtensionRanges().Has(field.Number()):
			finding.Was, finding.Why = "left to extensions", "an extension with this number is read as "+string(field.Name())
		case was.ReservedNames().Has(field.Name()) && was.Fields().ByNumber(field.Number()) == nil:
			finding.Was, finding.Wire, finding.JSON = "a reserved name", Safe, Misreads
			finding.Why = "in JSON, what had this name before is read as this field"
		default:
			continue
		}
		if was.ReservedNames().Has(field.Name()) {
			finding.JSON = Misreads
		}
		c.add(was, finding, func(m protoreflect.Message) bool { return hasUnknown(m, field.Number()) })
	}
}

// enums compares the values of the enums that a field had and has.
func (c *comparison) enums(path string, wasField, isField protoreflect.FieldDescriptor) {
	was, is := wasField.Enum(), isField.Enum()
	if c.seen[pair{was, is}] {
		return
	}
	c.seen[pair{was, is}] = true
	for i := range was.Values().Len() {
		value := was.Values().Get(i)
		if was.Values().ByNumber(value.Number()) == value { // others are aliases
			c.value(path, value, is)
		} else if is.Values().ByName(value.Name()) == nil {
			c.alias(path, value, is)
		}
	}
	for i := range is.Values().Len() {
		value := is.Values().Get(i)
		if was.ReservedRanges().Has(value.Number()) {
			c.addValue(was, Finding{
				Path: path, Number: int32(value.Number()), Was: "reserved", Is: string(value.Name()), Wire: Misreads, JSON: Safe, At: value,
				Why: fmt.Sprintf("what older programs sent as %d is read as %s", value.Number(), value.Name()),
			})
		}
	}
}

// value compares a value of an enum.
func (c *comparison) value(path string, was protoreflect.EnumValueDescriptor, enum protoreflect.EnumDescriptor) {
	is, moved := enum.Values().ByNumber(was.Number()), enum.Values().ByName(was.Name())
	finding := Finding{Path: path, Number: int32(was.Number()), Was: string(was.Name()), Wire: Safe, JSON: Safe, At: enum}
	switch {
	case moved != nil && moved.Number() == was.Number(): // perhaps as an alias
		return
	case moved != nil:
		finding.Is, finding.At, finding.Wire = nameOf(is), moved, Misreads
		finding.Why = fmt.Sprintf("%s is %d", was.Name(), moved.Number())
		if was.Number() == 0 && !enum.IsClosed() { // which fields without presence leave out of JSON, too
			finding.JSON = Misreads
		}
	case is != nil:
		finding.Is, finding.At, finding.JSON = string(is.Name()), is, Misreads
		finding.Why = fmt.Sprintf("in JSON, %s is not read", was.Name())
	case enum.IsClosed():
		finding.Wire, finding.JSON = Misreads, Misreads
		finding.Why = "the enum is closed, so many languages read such a field as not set"
	default:
		finding.JSON = Misreads
		finding.Why = fmt.Sprintf("it is read as the number %d, and in JSON not at all", was.Number())
	}
	c.addValue(was.Parent().(protoreflect.EnumDescriptor), finding)
}

// alias adds that a second name of a value is gone, which JSON may have.
func (c *comparison) alias(path string, was protoreflect.EnumValueDescriptor, enum protoreflect.EnumDescriptor) {
	c.addValue(was.Parent().(protoreflect.EnumDescriptor), Finding{
		Path: path, Number: int32(was.Number()), Was: string(was.Name()), Is: nameOf(enum.Values().ByNumber(was.Number())), Wire: Safe, JSON: Misreads,
		Why: fmt.Sprintf("in JSON, %s is not read", was.Name()), At: enum,
	})
}

func nameOf(value protoreflect.EnumValueDescriptor) string {
	if value == nil {
		return "no value"
	}
	return string(value.Name())
}

// addValue adds a finding about a value of an enum, which any field of it may have.
func (c *comparison) addValue(enum protoreflect.EnumDescriptor, finding Finding) {
	finding.Message = string(enum.FullName())
	finding.affects = func(m protoreflect.Message) bool {
		return hasValue(m, enum.FullName(), protoreflect.EnumNumber(finding.Number))
	}
	c.findings = append(c.findings, finding)
}

// byJSON returns the field that has a name in JSON: as its own, or in the proto.
func byJSON(message protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if field := message.Fields().ByJSONName(name); field != nil {
		return field
	}
	return message.Fields().ByTextName(name)
}

func below(path string, field protoreflect.FieldDescriptor) string {
	if path == "" {
		return string(field.Name())
	}
	return path + "." + string(field.Name())
}
