package cloudevents

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// JSON returns the one form of a JSON value: without spaces, the names of each object in
// order, and in strings no escapes that need not be. Numbers stay as they are written. It
// returns an error for what is not exactly one JSON value in UTF-8, for more than 100 values
// in each other, and if an object has a name twice: readers differ in what they make of it.
func JSON(text []byte) ([]byte, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	from := json.NewDecoder(bytes.NewReader(text))
	from.UseNumber()
	var to bytes.Buffer
	if err := copyValue(&to, from, 0); err != nil {
		return nil, err
	}
	return to.Bytes(), nil
}

// Object returns the members of a JSON object, by their names, each in the form of [JSON].
func Object(text []byte) (map[string]json.RawMessage, error) {
	members, err := JSON(text)
	if err != nil {
		return nil, err
	}
	var object map[string]json.RawMessage
	if members[0] != '{' || json.Unmarshal(members, &object) != nil {
		return nil, errors.New("it is not a JSON object")
	}
	return object, nil
}

// checkText returns an error for what [json.Decoder] would read as something else, or
// only in part.
func checkText(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("it is not valid UTF-8")
	}
	var value json.RawMessage
	if err := json.Unmarshal(text, &value); err != nil { // it bounds how deep values are nested
		return fmt.Errorf("it is not valid JSON: %w", err)
	}
	if at := halfCharacter(text); at >= 0 {
		return fmt.Errorf("it is not valid JSON: %s is half of a character", text[at:at+6])
	}
	return nil
}

// halfCharacter returns where valid JSON has an escape of a surrogate that is not one of
// a pair, or -1.
func halfCharacter(text []byte) int {
	surrogate := func(at int, from, to byte) bool { // \uD[from to to]..
		return at+6 <= len(text) && text[at] == '\\' && text[at+1] == 'u' && text[at+2]|0x20 == 'd' &&
			text[at+3]|0x20 >= from && text[at+3]|0x20 <= to
	}
	for at := 0; at < len(text); at++ {
		switch {
		case text[at] != '\\':
		case surrogate(at, '8', '9'), surrogate(at, 'a', 'b'):
			if !surrogate(at+6, 'c', 'f') {
				return at
			}
			at += 11
		case surrogate(at, 'c', 'f'):
			return at
		default:
			at++ // what is escaped
		}
	}
	return -1
}

// maxDepth is how many values may be in each other: some readers take only so many. It also
// bounds the work, since what is in an object is copied once more.
const maxDepth = 100

// copyValue copies the next value, which is valid, and in depth others.
func copyValue(to *bytes.Buffer, from *json.Decoder, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("it has more than %d values in each other", maxDepth)
	}
	token, err := from.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		return copyObject(to, from, depth)
	case json.Delim('['):
		to.WriteByte('[')
		for first := true; from.More(); first = false {
			if !first {
				to.WriteByte(',')
			}
			if err := copyValue(to, from, depth+1); err != nil {
				return err
			}
		}
		_, err = from.Token()
		to.WriteByte(']')
		return err
	}
	return write(to, token)
}

func copyObject(to *bytes.Buffer, from *json.Decoder, depth int) error {
	members := map[string][]byte{}
	for from.More() {
		token, err := from.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if _, twice := members[name]; twice {
			return fmt.Errorf("it has %q twice in an object", name)
		}
		var value bytes.Buffer
		if err := copyValue(&value, from, depth+1); err != nil {
			return err
		}
		members[name] = value.Bytes()
	}
	if _, err := from.Token(); err != nil {
		return err
	}
	to.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			to.WriteByte(',')
		}
		if err := write(to, name); err != nil {
			return err
		}
		to.WriteByte(':')
		to.Write(members[name])
	}
	to.WriteByte('}')
	return nil
}

// write writes a value that is not composed of others.
func write(to *bytes.Buffer, value any) error {
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	to.Truncate(len(bytes.TrimRight(to.Bytes(), "\n"))) // which Encode adds
	return err
}
