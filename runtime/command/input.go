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
// with or without white space between them. It reads a value as soon as the value
// is complete. A number is complete with the character after it.
type input struct {
	decoder      *json.Decoder
	ahead        bytes.Buffer // text after offset that the decoder has read
	offset       int64        // of the value to be read next, in bytes
	line, column int          // of offset, both from 1, column in characters
}

func newInput(text io.Reader) *input {
	in := &input{line: 1, column: 1}
	in.decoder = json.NewDecoder(io.TeeReader(text, &in.ahead))
	return in
}

// next reads the next value into an empty message. It returns io.EOF after the
// last one. Any other error has the line and column of the mistake, and ends the
// input.
func (in *input) next(message proto.Message) error {
	var text json.RawMessage
	err := in.decoder.Decode(&text)
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if err == nil {
		in.moveTo(in.decoder.InputOffset() - int64(len(text)))
		err = in.shift(unmarshal(string(text), message))
	} else {
		err = in.syntaxError(err)
	}
	if err == nil {
		err = in.shift(readableError(proto.CheckInitialized(message)))
	}
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	return nil
}

// moveTo moves forward to an offset in the text.
func (in *input) moveTo(offset int64) {
	text := in.ahead.Next(int(offset - in.offset))
	in.offset = offset
	if lines := bytes.Count(text, []byte("\n")); lines > 0 {
		in.line += lines
		in.column = 1
		text = text[bytes.LastIndexByte(text, '\n')+1:]
	}
	in.column += utf8.RuneCount(text)
}

// shift turns the line and column of an error from those in the value that starts
// here into those in the text. An error without them gets those of the value.
func (in *input) shift(err error) error {
	var at *jsonError
	if !errors.As(err, &at) {
		return err
	}
	switch at.line {
	case 0:
		at.line, at.column = in.line, in.column
	case 1:
		at.line, at.column = in.line, in.column+at.column-1
	default:
		at.line += in.line - 1
	}
	return err
}

// syntaxError returns an error of the decoder with line and column, if it is that
// the text is not JSON.
func (in *input) syntaxError(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		in.moveTo(syntax.Offset - 1) // the offset counts the offending byte
		return &jsonError{line: in.line, column: in.column, reason: syntax.Error()}
	case errors.Is(err, io.ErrUnexpectedEOF):
		in.moveTo(in.offset + int64(in.ahead.Len()))
		return &jsonError{line: in.line, column: in.column, reason: endOfJSON}
	default:
		return err
	}
}
