package command

import (
	"encoding/json"
	"math/big"
	"regexp"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// manyDigits matches an integer that may be too large to be exact as a double.
var manyDigits = regexp.MustCompile(`[0-9]{16}`)

// checkNumbers returns an error if a Struct in the JSON of a message has an integer
// that would be rounded. The numbers of a Struct are doubles, and whoever writes an
// id of 19 digits does not expect another one to be stored.
func checkNumbers(text string, message protoreflect.MessageDescriptor) error {
	if !manyDigits.MatchString(text) {
		return nil
	}
	n := numbers{decoder: json.NewDecoder(strings.NewReader(text)), text: text}
	n.decoder.UseNumber()
	return n.value(shape{message: message})
}

// numbers checks the numbers in a JSON text that is known to be that of a message.
type numbers struct {
	decoder *json.Decoder
	text    string
}

// shape is what a JSON value means: a message, the elements of a list of it, or
// a map to it. Without a message it is nothing that can have a Struct in it.
type shape struct {
	message protoreflect.MessageDescriptor
	entries bool
}

// double reports whether numbers in the value become doubles of a Struct.
func (s shape) double() bool {
	if s.message == nil || s.entries {
		return false
	}
	switch s.message.FullName() {
	case "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue":
		return true
	}
	return false
}

// member returns the shape of a member of an object.
func (s shape) member(name string) shape {
	switch {
	case s.entries:
		return shape{message: s.message}
	case s.message == nil || s.double():
		return s
	}
	field := s.message.Fields().ByJSONName(name)
	if field == nil {
		field = s.message.Fields().ByTextName(name)
	}
	switch {
	case field == nil:
		return shape{}
	case field.IsMap():
		return shape{message: field.MapValue().Message(), entries: true}
	default:
		return shape{message: field.Message()}
	}
}

func (n *numbers) value(s shape) error {
	token, err := n.decoder.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case json.Number:
		if s.double() && !exact(token.String()) {
			return jsonErrorAt(n.text, int(n.decoder.InputOffset())-len(token), token.String()+
				" would be rounded: the numbers of a Struct are doubles (write it as a string)")
		}
	case json.Delim:
		if token == '{' && !s.entries && s.message != nil && s.message.FullName() == "google.protobuf.Any" {
			s = inAny(n.text[n.decoder.InputOffset()-1:])
		}
		for n.decoder.More() {
			inner := s
			if token == '{' {
				name, err := n.decoder.Token()
				if err != nil {
					return err
				}
				inner = s.member(name.(string))
			}
			if err := n.value(inner); err != nil {
				return err
			}
		}
		_, err = n.decoder.Token() // the closing one
	}
	return err
}

// inAny returns the shape of what is in the Any with which a text begins.
func inAny(text string) shape {
	var typed struct {
		Type string `json:"@type"` // need not be the first member
	}
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&typed); err != nil {
		return shape{}
	}
	known, err := protoregistry.GlobalTypes.FindMessageByURL(typed.Type)
	if err != nil {
		return shape{}
	}
	s := shape{message: known.Descriptor()}
	s.entries = s.double() // a Struct is the member "value"
	return s
}

// exact reports whether a number is an integer that a double represents, or not
// an integer in its form.
func exact(number string) bool {
	integer, ok := new(big.Int).SetString(number, 10)
	if !ok {
		return true
	}
	_, accuracy := new(big.Float).SetInt(integer).Float64()
	return accuracy == big.Exact
}
