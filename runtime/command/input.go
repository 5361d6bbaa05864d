package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
)

// input reads messages from a text: protobuf JSON, one value after the other,
// with any white space or none between them. A value is read as soon as it is
// complete; of a number, that is with the character after it.
type input struct {
	decoder      *json.Decoder
	ahead        bytes.Buffer // what the decoder has been given of the text that follows the place below
	passed       int64        // the bytes before that place
	line, column int          // both from 1, column in characters
}

func newInput(text io.Reader) *input {
	in := &input{line: 1, column: 1}
	in.decoder = json.NewDecoder(io.TeeReader(text, &in.ahead))
	return in
}

// next reads into an empty message. It returns io.EOF after the last one; any
// other error says where the text is wrong, and ends the input.
func (in *input) next(message proto.Message) error {
	var text json.RawMessage
	err := in.decoder.Decode(&text)
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if err == nil {
		in.pass(in.decoder.InputOffset() - int64(len(text)))
		err = in.place(unmarshal(string(text), message))
	} else {
		err = in.malformed(err)
	}
	if err == nil {
		err = in.place(explainProto(proto.CheckInitialized(message)))
	}
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	return nil
}

// pass moves on to a place in the text.
func (in *input) pass(offset int64) {
	text := in.ahead.Next(int(offset - in.passed))
	in.passed = offset
	if lines := bytes.Count(text, []byte("\n")); lines > 0 {
		in.line += lines
		in.column = 1
		text = text[bytes.LastIndexByte(text, '\n')+1:]
	}
	in.column += utf8.RuneCount(text)
}

// place makes an error within the value that starts here one within the text.
// What is at no place in particular is where the value starts.
func (in *input) place(err error) error {
	var where *jsonError
	if !errors.As(err, &where) {
		return err
	}
	switch where.line {
	case 0:
		where.line, where.column = in.line, in.column
	case 1:
		where.line, where.column = in.line, in.column+where.column-1
	default:
		where.line += in.line - 1
	}
	return err
}

// malformed says where the text stops being JSON, if that is what is wrong
// with it.
func (in *input) malformed(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		in.pass(syntax.Offset - 1) // the offset counts the offending byte
		return &jsonError{line: in.line, column: in.column, reason: syntax.Error()}
	case errors.Is(err, io.ErrUnexpectedEOF):
		in.pass(in.passed + int64(in.ahead.Len()))
		return &jsonError{line: in.line, column: in.column, reason: endOfJSON}
	default:
		return err
	}
}
