//runtime:with command.From command.Bench

package command

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

// decoder makes messages of lines, and ids.
type decoder struct {
	empty   func() proto.Message // a request, or an element of a batch
	columns []column             // of CSV
	idField []protoreflect.FieldDescriptor
	partial bool // whether required fields may be elsewhere
	// eventID is the field of a message for the id of its event, which is set: then a line has
	// its id by whatever RPC, and beside whatever others. It may be nil.
	eventID []protoreflect.FieldDescriptor

	// identity is what ids are made of, besides number and text of the line. If the
	// text is a stream, which has none, it is made of all lines so far.
	identity [sha256.Size]byte
	chained  bool
}

// decoded is what a line has.
type decoded struct {
	message []byte
	id      string
	own     bool // whether the id comes from the line, and must not be numbered in a batch
}

// refusedKey begins a line that was refused before: with its id, and with what it was.
const refusedKey = "@refused"

// refusedLine is a line of the file with lines that were refused. It can be read as a
// line itself.
type refusedLine struct {
	Refused struct {
		File   string `json:"file,omitempty"`
		Line   int64  `json:"line"`
		ID     string `json:"id,omitempty"`
		Reason string `json:"reason"`
	} `json:"@refused"`
	Value json.RawMessage   `json:"value,omitempty"` // of the line, if it is JSON
	Text  string            `json:"text,omitempty"`  // if it is not
	Data  []byte            `json:"data,omitempty"`  // if it is not UTF-8 either
	Cells map[string]string `json:"cells,omitempty"` // of a record of CSV, by their columns
}

// id returns the id that a line has, if it has none of its own.
func (d *decoder) id(l line) string {
	hash := sha256.New()
	hash.Write(d.identity[:])
	if !d.chained {
		fmt.Fprintf(hash, "%d\n", l.number)
	}
	hash.Write(l.text)
	var sum [sha256.Size]byte
	hash.Sum(sum[:0])
	if d.chained {
		d.identity = sum
	}
	return fmt.Sprintf("%s-%d", hex.EncodeToString(sum[:12]), l.number)
}

// decode returns what a line has. The id is set also with an error.
func (d *decoder) decode(l line) (decoded, error) {
	one := decoded{id: d.id(l)}
	if l.err != nil {
		return one, l.err
	}
	message := d.empty()
	var err error
	switch {
	case l.cells != nil:
		err = fillFrom(message, d.columns, l.cells)
	case strings.HasPrefix(string(l.text[:min(len(l.text), 20)]), `{"`+refusedKey+`"`):
		err = d.again(l, message, &one)
	default:
		err = decodeJSON(string(l.text), message)
	}
	if err != nil {
		return one, err
	}
	if d.idField != nil {
		if one.id, err = idIn(message.ProtoReflect(), d.idField); err != nil {
			return one, err
		}
		one.own = true
	}
	if d.eventID != nil && setID(message.ProtoReflect(), d.eventID, one.id) {
		one.own = false
	}
	one.message, err = proto.MarshalOptions{AllowPartial: d.partial}.Marshal(message)
	return one, readableError(err)
}

// setID sets the field at the end of a path, unless it is set, and reports whether it is
// now. It adds no message that the field would be in.
func setID(message protoreflect.Message, path []protoreflect.FieldDescriptor, id string) bool {
	for _, field := range path[:len(path)-1] {
		if !message.Has(field) {
			return false
		}
		message = message.Mutable(field).Message()
	}
	if field := path[len(path)-1]; message.Get(field).String() == "" {
		message.Set(field, protoreflect.ValueOfString(id))
	}
	return true
}

// again decodes a line that was refused before.
func (d *decoder) again(l line, message proto.Message, one *decoded) error {
	var refused refusedLine
	if err := json.Unmarshal(l.text, &refused); err != nil {
		return err
	}
	if refused.Refused.ID != "" {
		one.id, one.own = refused.Refused.ID, true
	}
	if refused.Data != nil {
		return errInvalidUTF8
	}
	if refused.Cells == nil {
		text := refused.Text
		if refused.Value != nil {
			text = string(refused.Value)
		}
		return decodeJSON(text, message)
	}
	for name, cell := range refused.Cells {
		path, err := fieldPath(message.ProtoReflect().Descriptor(), name)
		if err == nil && cell != "" {
			err = setPath(message.ProtoReflect(), path, cell)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// decodeJSON parses a line of protobuf JSON. It is what [unmarshal] does, which says more
// of mistakes and takes three times as long.
func decodeJSON(text string, message proto.Message) error {
	err := (protojson.UnmarshalOptions{AllowPartial: true}).Unmarshal([]byte(text), message)
	if err == nil && !hasManyDigits(text) {
		return nil
	}
	proto.Reset(message)
	err = unmarshal(text, message)
	var at *jsonError
	if !errors.As(err, &at) {
		return err
	}
	switch whole := strings.TrimSpace(text); {
	case whole == "{" || whole == "[":
		return errors.New("it is the beginning of a JSON value: want one whole value in each line (jq -c writes them so)")
	case at.line == 0:
		return errors.New(at.reason)
	default: // it is the only line of its text
		return fmt.Errorf("column %d: %s", at.column, at.reason)
	}
}

// hasManyDigits reports whether a text has as many digits in a row as manyDigits matches.
func hasManyDigits(text string) bool {
	row := 0
	for i := range len(text) {
		if row++; text[i] < '0' || text[i] > '9' {
			row = 0
		}
		if row == 16 {
			return true
		}
	}
	return false
}

// idIn returns the value of the field that has the id.
func idIn(message protoreflect.Message, path []protoreflect.FieldDescriptor) (string, error) {
	for _, field := range path[:len(path)-1] {
		message = message.Get(field).Message()
	}
	id := message.Get(path[len(path)-1]).String()
	if !message.Has(path[len(path)-1]) || id == "" {
		return "", fmt.Errorf("its field %s, which has the id, is not set", path[len(path)-1].Name())
	}
	return id, eventid.Check(id)
}
