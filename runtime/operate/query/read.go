package query

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// reader returns the value that a field has in the data of an event, as SQL has it. It
// keeps no part of the data. Only the one field is decoded: queries read a million
// events for the sake of one or two of their fields.
type reader func(data []byte) (driver.Value, error)

var errMalformed = errors.New("the data is not a protobuf message")

// newReader returns the reader of a field, and the type of its values in SQL.
func newReader(field protoreflect.FieldDescriptor) (read reader, kind string) {
	switch {
	case field.IsList() || field.IsMap():
		return readRepeated(field), "JSON"
	case field.Message() == nil:
		return readScalar(field), scalarType(field)
	}
	switch field.Message().FullName() {
	case "google.protobuf.Timestamp":
		return readInMessage(field, timestamp), "TEXT"
	case "google.protobuf.Duration":
		return readInMessage(field, duration), "REAL"
	case "google.protobuf.BoolValue", "google.protobuf.Int32Value", "google.protobuf.Int64Value", "google.protobuf.UInt32Value",
		"google.protobuf.UInt64Value", "google.protobuf.FloatValue", "google.protobuf.DoubleValue", "google.protobuf.StringValue", "google.protobuf.BytesValue":
		value := field.Message().Fields().ByName("value")
		return readInMessage(field, readScalar(value)), scalarType(value)
	}
	return readInMessage(field, readMessage(field.Message())), "JSON"
}

func scalarType(field protoreflect.FieldDescriptor) string {
	switch field.Kind() {
	case protoreflect.StringKind, protoreflect.EnumKind:
		return "TEXT"
	case protoreflect.BytesKind:
		return "BLOB"
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "REAL"
	default:
		return "INTEGER"
	}
}

// each calls use with each record of a field, its tag included.
func each(data []byte, number protowire.Number, use func(record []byte)) error {
	for len(data) > 0 {
		found, _, size := protowire.ConsumeField(data)
		if size < 0 {
			return errMalformed
		}
		if found == number {
			use(data[:size])
		}
		data = data[size:]
	}
	return nil
}

// readScalar reads a field that is neither a message nor repeated. It is NULL where it is
// not set and that is distinct from its default.
func readScalar(field protoreflect.FieldDescriptor) reader {
	number, wire := field.Number(), wireType(field.Kind())
	value := scalarValue(field)
	var absent driver.Value
	if !field.HasPresence() {
		absent = value(0, nil)
	}
	return func(data []byte) (driver.Value, error) {
		var bits uint64
		var text []byte
		isSet := false
		for len(data) > 0 {
			found, kind, n := protowire.ConsumeTag(data)
			if n < 0 {
				return nil, errMalformed
			}
			data = data[n:]
			if found != number || kind != wire {
				if n = protowire.ConsumeFieldValue(found, kind, data); n < 0 {
					return nil, errMalformed
				}
				data = data[n:]
				continue
			}
			switch kind {
			case protowire.VarintType:
				bits, n = protowire.ConsumeVarint(data)
			case protowire.Fixed64Type:
				bits, n = protowire.ConsumeFixed64(data)
			case protowire.Fixed32Type:
				var half uint32
				half, n = protowire.ConsumeFixed32(data)
				bits = uint64(half)
			default:
				text, n = protowire.ConsumeBytes(data)
			}
			if n < 0 {
				return nil, errMalformed
			}
			data, isSet = data[n:], true
		}
		if !isSet {
			return absent, nil
		}
		return value(bits, text), nil
	}
}

func wireType(kind protoreflect.Kind) protowire.Type {
	switch kind {
	case protoreflect.StringKind, protoreflect.BytesKind:
		return protowire.BytesType
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	default:
		return protowire.VarintType
	}
}

// scalarValue returns the function that makes a value of what is on the wire: bits, or
// the text of a string or of bytes.
func scalarValue(field protoreflect.FieldDescriptor) func(bits uint64, text []byte) driver.Value {
	switch field.Kind() {
	case protoreflect.StringKind:
		return func(_ uint64, text []byte) driver.Value { return string(text) }
	case protoreflect.BytesKind:
		return func(_ uint64, text []byte) driver.Value { return append([]byte{}, text...) }
	case protoreflect.EnumKind:
		names := map[int32]driver.Value{}
		for values, i := field.Enum().Values(), 0; i < values.Len(); i++ {
			if number := int32(values.Get(i).Number()); names[number] == nil { // of aliases the first, as in JSON
				names[number] = string(values.Get(i).Name())
			}
		}
		return func(bits uint64, _ []byte) driver.Value {
			if name := names[int32(bits)]; name != nil {
				return name
			}
			return int64(int32(bits))
		}
	case protoreflect.BoolKind:
		return func(bits uint64, _ []byte) driver.Value { return protowire.DecodeBool(bits) }
	case protoreflect.Int32Kind, protoreflect.Sfixed32Kind:
		return func(bits uint64, _ []byte) driver.Value { return int64(int32(bits)) }
	case protoreflect.Sint32Kind:
		return func(bits uint64, _ []byte) driver.Value {
			return int64(int32(protowire.DecodeZigZag(bits & math.MaxUint32)))
		}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return func(bits uint64, _ []byte) driver.Value { return int64(uint32(bits)) }
	case protoreflect.Sint64Kind:
		return func(bits uint64, _ []byte) driver.Value { return protowire.DecodeZigZag(bits) }
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return func(bits uint64, _ []byte) driver.Value { return unsigned(bits) }
	case protoreflect.FloatKind:
		return func(bits uint64, _ []byte) driver.Value { return float(float64(math.Float32frombits(uint32(bits)))) }
	case protoreflect.DoubleKind:
		return func(bits uint64, _ []byte) driver.Value { return float(math.Float64frombits(bits)) }
	default:
		return func(bits uint64, _ []byte) driver.Value { return int64(bits) }
	}
}

// unsigned returns a number as an integer of SQL, which is signed, or as text if it is
// too large for that. SQL takes each text for greater than each number.
func unsigned(number uint64) driver.Value {
	if number > math.MaxInt64 {
		return strconv.FormatUint(number, 10)
	}
	return int64(number)
}

// float returns a number as SQL has it, which knows no NaN: it would be NULL.
func float(number float64) driver.Value {
	if math.IsNaN(number) {
		return "NaN"
	}
	return number
}

// readInMessage reads a field by the bytes of its message. It is NULL where it is not set.
func readInMessage(field protoreflect.FieldDescriptor, read reader) reader {
	number := field.Number()
	return func(data []byte) (driver.Value, error) {
		var message []byte
		isSet := false
		for len(data) > 0 {
			found, kind, tag := protowire.ConsumeTag(data)
			if tag < 0 {
				return nil, errMalformed
			}
			size := protowire.ConsumeFieldValue(found, kind, data[tag:])
			if size < 0 {
				return nil, errMalformed
			}
			value := data[tag : tag+size]
			data = data[tag+size:]
			if found != number {
				continue
			}
			switch kind {
			case protowire.BytesType:
				value, _ = protowire.ConsumeBytes(value)
			case protowire.StartGroupType:
				value, _ = protowire.ConsumeGroup(number, value)
			default:
				continue
			}
			if isSet { // several records are one message
				message = append(message[:len(message):len(message)], value...)
			} else {
				message, isSet = value, true
			}
		}
		if !isSet {
			return nil, nil
		}
		return read(message)
	}
}

// timeFormat is of fixed width, so that the order of times as text is their order in time.
// It is the one of the attributes time and recorded, and the functions of SQLite take it.
const timeFormat = "2006-01-02T15:04:05.000000000Z"

// seconds reads the fields that Timestamp and Duration have: 1 and 2.
func seconds(data []byte) (seconds int64, nanos int32, err error) {
	for len(data) > 0 {
		number, kind, tag := protowire.ConsumeTag(data)
		if tag < 0 {
			return 0, 0, errMalformed
		}
		size := protowire.ConsumeFieldValue(number, kind, data[tag:])
		if size < 0 {
			return 0, 0, errMalformed
		}
		if kind == protowire.VarintType && number <= 2 {
			bits, _ := protowire.ConsumeVarint(data[tag:])
			if number == 1 {
				seconds = int64(bits)
			} else {
				nanos = int32(bits)
			}
		}
		data = data[tag+size:]
	}
	return seconds, nanos, nil
}

func timestamp(data []byte) (driver.Value, error) {
	seconds, nanos, err := seconds(data)
	if err != nil {
		return nil, err
	}
	return formatTimestamp(seconds, nanos)
}

// formatTimestamp does what Format does for the one format of times, in a fraction of the
// time.
func formatTimestamp(seconds int64, nanos int32) (string, error) {
	at := time.Unix(seconds, int64(nanos)).UTC()
	year, month, date := at.Date()
	if year < 1 || year > 9999 || nanos < 0 || nanos >= 1e9 {
		return "", fmt.Errorf("a Timestamp of %d seconds and %d nanoseconds is outside of the years 1 to 9999", seconds, nanos)
	}
	text := []byte("0000-00-00T00:00:00.000000000Z")
	write := func(end, number int) {
		for ; number > 0; end-- {
			text[end-1] = byte('0' + number%10)
			number /= 10
		}
	}
	second := int((seconds%day + day) % day)
	write(4, year)
	write(7, int(month))
	write(10, date)
	write(13, second/3600)
	write(16, second/60%60)
	write(19, second%60)
	write(29, int(nanos))
	return string(text), nil
}

// day is how many seconds a day has.
const day = 24 * 60 * 60

func duration(data []byte) (driver.Value, error) {
	seconds, nanos, err := seconds(data)
	return float64(seconds) + float64(nanos)/1e9, err
}

// readRepeated reads a list or a map, in JSON.
func readRepeated(field protoreflect.FieldDescriptor) reader {
	kind := dynamicpb.NewMessageType(field.ContainingMessage())
	options := proto.UnmarshalOptions{AllowPartial: true}
	return func(data []byte) (driver.Value, error) {
		var records []byte
		err := each(data, field.Number(), func(record []byte) { records = append(records, record...) })
		if err != nil {
			return nil, err
		}
		message := kind.New()
		if err := options.Unmarshal(records, message.Interface()); err != nil {
			return nil, err
		}
		text, err := appendField(nil, field, message.Get(field))
		if err != nil {
			return nil, err
		}
		return string(text), nil
	}
}

// readMessage reads a message as a whole, in JSON.
func readMessage(descriptor protoreflect.MessageDescriptor) reader {
	kind := dynamicpb.NewMessageType(descriptor)
	options := proto.UnmarshalOptions{AllowPartial: true}
	return func(data []byte) (driver.Value, error) {
		message := kind.New()
		if err := options.Unmarshal(data, message.Interface()); err != nil {
			return nil, err
		}
		text, err := appendMessage(nil, message)
		if err != nil {
			return nil, err
		}
		return string(text), nil
	}
}
