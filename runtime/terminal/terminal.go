// Package terminal makes text that others wrote safe to print: one line stays one
// line, nothing controls the terminal, and what is shown is in the order in which
// it is stored.
package terminal

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns a text in one line, with unsafe characters as in a string of Go:
// \n, \x1b, \u202e. A byte that is not UTF-8 becomes \xff.
func Text(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, unsafe) {
		return text
	}
	var safe strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&safe, `\x%02x`, text[0])
		case unsafe(r):
			quoted := strconv.QuoteRuneToASCII(r)
			safe.WriteString(quoted[1 : len(quoted)-1])
		default:
			safe.WriteRune(r)
		}
		text = text[size:]
	}
	return safe.String()
}

// JSON returns a JSON text that means the same, with the unsafe characters escaped
// that JSON does not require to be. White space between its tokens stays.
func JSON(text []byte) []byte {
	if !strings.ContainsFunc(string(text), unsafeInJSON) {
		return text
	}
	var safe strings.Builder
	for _, r := range string(text) {
		if unsafeInJSON(r) {
			fmt.Fprintf(&safe, `\u%04x`, r)
		} else {
			safe.WriteRune(r)
		}
	}
	return []byte(safe.String())
}

// unsafeInJSON reports whether a character is unsafe and may be in a string of JSON.
func unsafeInJSON(r rune) bool { return r > ' ' && unsafe(r) }

// unsafe reports whether a character controls a terminal, ends a line, or changes
// the order of those after it.
func unsafe(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}
