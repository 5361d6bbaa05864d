//runtime:with Reads Batch command.ClientStream command.Bidi

package command

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
)

// input reads messages from a text: protobuf JSON, one value after the other,
// with or without white space between them. It reads a value as soon as the value
// is complete. A number is complete with the character after it. The text is UTF-8,
// with or without a byte order mark.
type input struct {
	text         *bufio.Reader
	decoder      *json.Decoder // nil before the first value
	failed       error         // to be returned next
	ahead        bytes.Buffer  // text after offset that the decoder has read
	offset       int64         // of the value to be read next, in bytes
	line, column int           // of offset, both from 1, column in characters
}

func newInput(text io.Reader) *input {
	return &input{text: bufio.NewReaderSize(text, 64<<10), line: 1, column: 1}
}

// arrived reports whether some of the next value can be read without waiting.
func (in *input) arrived() bool {
	if in.text.Buffered() > 0 {
		return true
	}
	rest, err := io.ReadAll(in.decoder.Buffered())
	return err == nil && len(bytes.TrimSpace(rest)) > 0
}

var errUTF16 = errors.New("the text is UTF-16, and must be UTF-8: convert it, for example by iconv -f UTF-16 -t UTF-8")

// begin skips a byte order mark. It returns an error if that of another encoding is
// there.
func (in *input) begin() error {
	first, err := in.text.Peek(1) // more may not be there yet
	if err != nil {
		first = []byte{0} // reading returns the error again
	}
	switch first[0] {
	case byteOrderMark[0]:
		if mark, _ := in.text.Peek(len(byteOrderMark)); string(mark) == byteOrderMark {
			_, _ = in.text.Discard(len(byteOrderMark))
		}
	case 0xff, 0xfe:
		if mark, _ := in.text.Peek(2); string(mark) == "\xff\xfe" || string(mark) == "\xfe\xff" {
			return errUTF16
		}
	}
	in.decoder = json.NewDecoder(io.TeeReader(in.text, &in.ahead))
	return nil
}

// next reads the next value into an empty message. It returns io.EOF after the
// last one. Any other error has the line and column of the mistake, and ends the
// input.
func (in *input) next(message proto.Message) error {
	err := in.failed
	if err == nil && in.decoder == nil {
		if err = in.begin(); err != nil {
			err = fmt.Errorf("standard input: %w", err)
		}
	}
	if err != nil {
		return err
	}
	var text json.RawMessage
	err = in.decoder.Decode(&text)
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
	case errors.As(err, &syntax) && strings.Contains(err.Error(), `'\x00'`): // in every other byte, without a mark
		return errUTF16
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
