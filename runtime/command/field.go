package command

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

var errInvalidUTF8 = errors.New("the text is not valid UTF-8")

// setField sets a field of message from the values of its flag. There is at least
// one.
func setField(message protoreflect.Message, field protoreflect.FieldDescriptor, texts []string) error {
	if field.Message() != nil && field.Cardinality() != protoreflect.Repeated && len(texts) > 1 {
		return fmt.Errorf("given %d times, but the field is one message", len(texts))
	}
	for _, text := range texts {
		switch {
		case field.IsMap():
			if err := mergeMap(message, field, text); err != nil {
				return err
			}
		case field.IsList():
			list := message.Mutable(field).List()
			element, err := parseValue(field, list.NewElement(), text)
			if err != nil {
				return err
			}
			list.Append(element)
		default:
			value, err := parseValue(field, message.NewField(field), text)
			if err != nil {
				return err
			}
			message.Set(field, value)
		}
	}
	return nil
}

// mergeMap adds the entries of a JSON object to a map.
func mergeMap(message protoreflect.Message, field protoreflect.FieldDescriptor, text string) error {
	entries := message.New()
	if err := parseMap(entries, field, text); err != nil {
		return err
	}
	merged := message.Mutable(field).Map()
	entries.Get(field).Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
		merged.Set(key, value)
		return true
	})
	return nil
}

// parseValue parses one value of a field, or one element of a repeated field. If
// the field holds messages, zero is the new message to fill.
func parseValue(field protoreflect.FieldDescriptor, zero protoreflect.Value, text string) (protoreflect.Value, error) {
	switch kind := field.Kind(); kind {
	case protoreflect.BoolKind:
		v, err := strconv.ParseBool(text)
		return protoreflect.ValueOfBool(v), numberError(err, kind)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		v, err := strconv.ParseInt(text, 10, 32)
		return protoreflect.ValueOfInt32(int32(v)), numberError(err, kind)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		v, err := strconv.ParseInt(text, 10, 64)
		return protoreflect.ValueOfInt64(v), numberError(err, kind)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		v, err := strconv.ParseUint(text, 10, 32)
		return protoreflect.ValueOfUint32(uint32(v)), numberError(err, kind)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		v, err := strconv.ParseUint(text, 10, 64)
		return protoreflect.ValueOfUint64(v), numberError(err, kind)
	case protoreflect.FloatKind:
		v, err := strconv.ParseFloat(text, 32)
		return protoreflect.ValueOfFloat32(float32(v)), numberError(err, kind)
	case protoreflect.DoubleKind:
		v, err := strconv.ParseFloat(text, 64)
		return protoreflect.ValueOfFloat64(v), numberError(err, kind)
	case protoreflect.StringKind:
		if !utf8.ValidString(text) {
			return protoreflect.Value{}, errInvalidUTF8
		}
		return protoreflect.ValueOfString(text), nil
	case protoreflect.BytesKind:
		return parseBytes(text)
	case protoreflect.EnumKind:
		return parseEnum(field.Enum(), text)
	default: // MessageKind, GroupKind
		return zero, parseMessage(zero.Message(), text)
	}
}

// numberError returns an error of strconv in terms of the proto.
func numberError(err error, kind protoreflect.Kind) error {
	var failed *strconv.NumError
	switch {
	case !errors.As(err, &failed):
		return err
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%s is out of the range of %s", failed.Num, kind)
	default:
		return fmt.Errorf("%q is not a valid %s", failed.Num, kind)
	}
}

// parseBytes parses base64 as protobuf JSON does: in the standard or the URL
// alphabet, with or without padding.
func parseBytes(text string) (protoreflect.Value, error) {
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	if len(text)%4 == 0 {
		encoding = encoding.WithPadding(base64.StdPadding)
	}
	v, err := encoding.DecodeString(text)
	if err != nil {
		return protoreflect.Value{}, fmt.Errorf("%q is not valid base64", text)
	}
	return protoreflect.ValueOfBytes(v), nil
}

// parseEnum parses the name or the number of an enum's value. Only an open enum
// takes a number without a name.
func parseEnum(enum protoreflect.EnumDescriptor, text string) (protoreflect.Value, error) {
	if value := enum.Values().ByName(protoreflect.Name(text)); value != nil {
		return protoreflect.ValueOfEnum(value.Number()), nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	number := protoreflect.EnumNumber(n)
	if err != nil || enum.IsClosed() && enum.Values().ByNumber(number) == nil {
		return protoreflect.Value{}, fmt.Errorf("%q is not a value of %s; the values are: %s", text, enum.Name(), valueNames(enum, ", "))
	}
	return protoreflect.ValueOfEnum(number), nil
}

func valueNames(enum protoreflect.EnumDescriptor, separator string) string {
	var names []string
	for i := range enum.Values().Len() {
		names = append(names, string(enum.Values().Get(i).Name()))
	}
	return strings.Join(names, separator)
}
