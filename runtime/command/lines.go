//runtime:with command.From command.Bench

package command

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// Bounds of what is read, so that memory is bounded by them and not by the file.
const (
	maxLine   = 8 << 20 // of a line, or of a record of CSV, in bytes
	maxQuoted = 1 << 20 // of the further lines that a quote may go on for
)

// line is a line of a file, or a record of CSV, which may have more than one.
type line struct {
	number int64    // of the first line, from 1
	end    int64    // offset in the file after it
	text   []byte   // without the end of the line
	cells  []string // of CSV
	err    error    // why it can't be read; then there may be no text
}

// lineReader reads a text line by line. Lines end with LF or CR LF, the last with either or
// nothing. A byte order mark is passed over.
type lineReader struct {
	text   *bufio.Reader
	ahead  []line // were read, and come next
	number int64  // of the line read last
	offset int64  // after it
	csv    bool
}

func newLineReader(text io.Reader, csv bool) *lineReader {
	return &lineReader{text: bufio.NewReaderSize(text, 256<<10), csv: csv}
}

// begin passes over a byte order mark.
func (l *lineReader) begin() error {
	mark, _ := l.text.Peek(len(byteOrderMark)) // it may have fewer bytes
	switch {
	case string(mark) == byteOrderMark:
		l.offset += int64(len(mark))
		_, err := l.text.Discard(len(mark))
		return err
	case bytes.HasPrefix(mark, []byte("\xff\xfe")), bytes.HasPrefix(mark, []byte("\xfe\xff")):
		return errUTF16
	}
	return nil
}

// next returns the next line that is not blank, or record, or io.EOF.
func (l *lineReader) next() (line, error) {
	for {
		one, err := l.physical()
		switch {
		case err != nil:
			return line{}, err
		case one.err == nil && len(bytes.TrimSpace(one.text)) == 0:
		case l.csv && one.err == nil:
			return l.record(one), nil
		default:
			return one, nil
		}
	}
}

// physical returns the next line as it is.
func (l *lineReader) physical() (line, error) {
	if len(l.ahead) > 0 {
		one := l.ahead[0]
		l.ahead = l.ahead[1:]
		return one, nil
	}
	var text []byte
	var read int64
	for {
		part, err := l.text.ReadSlice('\n')
		read += int64(len(part))
		if len(text) <= maxLine {
			text = append(text, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && (!errors.Is(err, io.EOF) || read == 0) {
			return line{}, err
		}
		break
	}
	l.number++
	l.offset += read
	one := line{number: l.number, end: l.offset}
	if len(text) > maxLine {
		one.err = fmt.Errorf("the line has more than %d MiB", maxLine>>20)
		return one, nil
	}
	one.text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if at := invalidUTF8(one.text); at >= 0 {
		one.err = fmt.Errorf("column %d: the text is not valid UTF-8", utf8.RuneCount(one.text[:at])+1)
	}
	return one, nil
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	for at := 0; ; {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
}

// record returns the record of CSV that begins with a line. If a quote is never closed,
// the record is that line alone, and the next one begins after it.
func (l *lineReader) record(first line) line {
	cells, err := csv.NewReader(bytes.NewReader(first.text)).Read()
	if err == nil {
		first.cells = cells
		return first
	}
	open := oddQuotes(first.text)
	if !errors.Is(err, csv.ErrQuote) || !open {
		first.err = recordError(err)
		return first
	}
	// Whoever closes a quote makes their number even: before that no line completes the record.
	text := slices.Clone(first.text)
	var further []line
	for open && len(text)-len(first.text) <= maxQuoted {
		one, failed := l.physical()
		if failed != nil {
			break // reading returns it again
		}
		further = append(further, one)
		if one.err != nil {
			break
		}
		text = append(append(text, '\n'), one.text...)
		open = open != oddQuotes(one.text)
	}
	if !open {
		if cells, err := csv.NewReader(bytes.NewReader(text)).Read(); err == nil {
			return line{number: first.number, end: further[len(further)-1].end, text: text, cells: cells}
		}
	}
	l.ahead = append(further, l.ahead...)
	first.err = recordError(csv.ErrQuote)
	return first
}

func oddQuotes(text []byte) bool { return bytes.Count(text, []byte{'"'})%2 == 1 }

func recordError(err error) error {
	at := ""
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		at, err = fmt.Sprintf("character %d: ", parse.Column), parse.Err
	}
	if errors.Is(err, csv.ErrQuote) {
		return errors.New(at + `a cell that begins with " must end with ", and have "" for each " in it`)
	}
	return errors.New(at + `a " is in a cell that does not begin with one`)
}
