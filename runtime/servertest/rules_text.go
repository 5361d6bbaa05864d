//runtime:with validate

package servertest

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
)

const mostText = 1 << 16 // bytes

// texts yields texts to try for a field. A negative number makes all of them unique.
func texts(name string, rules *validate.StringRules, number int64) iter.Seq[string] {
	n := max(number, -number)
	id := fmt.Sprintf("018f0000-0000-7000-8000-%012x", n)
	digits := strconv.FormatInt(n, 36)
	bodies := []string{digits, name + "-" + digits}
	if number < 0 {
		id = eventid.New() // after the digits: a part of it is not unique
	} else {
		bodies = append([]string{name, ""}, bodies...)
	}
	bodies = append(bodies, formats(n, id)...)
	wanted := bounds{
		runes: span(rules.HasLen(), rules.GetLen(), rules.GetMinLen(), rules.HasMaxLen(), rules.GetMaxLen()),
		bytes: span(rules.HasLenBytes(), rules.GetLenBytes(), rules.GetMinBytes(), rules.HasMaxBytes(), rules.GetMaxBytes()),
	}
	return func(yield func(string) bool) {
		for text := range matching(rules.GetPattern(), n) {
			if !yield(text) || !yield(wanted.fit(rules.GetPrefix(), text, rules.GetSuffix())) {
				return
			}
		}
		for _, contains := range []string{rules.GetContains(), ""} {
			for _, body := range bodies {
				if !yield(contains+body) || !yield(wanted.fit(rules.GetPrefix()+contains, body, rules.GetSuffix())) {
					return
				}
			}
		}
	}
}

// bytesLike yields bytes to try for a field.
func bytesLike(name string, rules *validate.BytesRules, number int64) iter.Seq[[]byte] {
	n := max(number, -number)
	wanted := bounds{
		runes: [2]int{0, mostText},
		bytes: span(rules.HasLen(), rules.GetLen(), rules.GetMinLen(), rules.HasMaxLen(), rules.GetMaxLen()),
	}
	return func(yield func([]byte) bool) {
		for text := range matching(rules.GetPattern(), n) {
			if !yield([]byte(text)) {
				return
			}
		}
		digits := strconv.FormatInt(n, 36)
		for _, body := range []string{name, digits, name + "-" + digits, "another", ""} {
			text := wanted.fit(string(rules.GetPrefix())+string(rules.GetContains()), body, string(rules.GetSuffix()))
			if !yield([]byte(body)) || !yield([]byte(text)) {
				return
			}
		}
		for _, length := range []int{4, 16} { // an address or a UUID
			if !yield(protowire.AppendFixed64(make([]byte, length-min(length, 8)), uint64(n))[:length]) {
				return
			}
		}
	}
}

// formats returns texts of the forms that rules may ask for, made from a number.
func formats(n int64, id string) []string {
	four := fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)
	six := fmt.Sprintf("2001:db8::%x", n&0xffff)
	plain := strings.ReplaceAll(id, "-", "")
	ulid := strings.NewReplacer("i", "j", "l", "m", "o", "p", "u", "v").Replace(plain[6:])
	return []string{
		id, plain, "0" + strings.ToUpper(ulid[:min(len(ulid), 25)]),
		fmt.Sprintf("jerry%d@example.com", n), fmt.Sprintf("www%d.example.com", n), fmt.Sprintf("www%d.example.com:443", n),
		four, six, four + "/32", six + "/128",
		fmt.Sprintf("https://example.com/%d", n), fmt.Sprintf("/path/%d", n),
		fmt.Sprintf("example.v1.Message%d", n), fmt.Sprintf(".example.v1.Message%d", n), fmt.Sprintf("x-header-%d", n),
		fmt.Sprintf("2026-01-%02dT00:00:00Z", 1+n%28), fmt.Sprintf("2026-01-%02d", 1+n%28), fmt.Sprintf("+1202555%04d", n%10_000),
		"EUR", "en-US", fmt.Sprintf(`{"n":%d}`, n), fmt.Sprintf("%d.0.0", n),
	}
}

// bounds are the least and the greatest lengths of a text.
type bounds struct{ runes, bytes [2]int }

func span(exact bool, length, least uint64, bounded bool, most uint64) [2]int {
	switch {
	case exact:
		return [2]int{int(min(length, mostText)), int(min(length, mostText))}
	case bounded:
		return [2]int{int(min(least, mostText)), int(min(most, mostText))}
	}
	return [2]int{int(min(least, mostText)), mostText}
}

// fit returns a text of the wanted length with a beginning and an end, and as much of a
// body between as there is room for, of its end.
func (b bounds) fit(head, body, tail string) string {
	room := func() (runes, bytes int) {
		text := head + body + tail
		return utf8.RuneCountInString(text), len(text)
	}
	for runes, bytes := room(); body != "" && (runes > b.runes[1] || bytes > b.bytes[1]); runes, bytes = room() {
		_, size := utf8.DecodeRuneInString(body)
		body = body[size:]
	}
	var pad strings.Builder
	runes, bytes := room()
	for runes < b.runes[0] || bytes < b.bytes[0] {
		left := max(1, b.runes[1]-runes) // runes that may come yet
		next := "a"
		for _, wide := range []string{"é", "語", "😀"} {
			if b.bytes[0]-bytes > left*len(next) {
				next = wide
			}
		}
		pad.WriteString(next)
		runes, bytes = runes+1, bytes+len(next)
	}
	return head + pad.String() + body + tail
}

// matching yields texts that match a pattern, made from a number.
func matching(pattern string, n int64) iter.Seq[string] {
	return func(yield func(string) bool) {
		parsed, err := syntax.Parse(pattern, syntax.Perl)
		if pattern == "" || err != nil {
			return
		}
		for i, extra := range []int{1, 8, 0, 3, 2, 16, 32, 64, 4, 5, 6, 7, 10, 12} {
			writer := matchWriter{rand: rand.New(rand.NewPCG(uint64(n), uint64(i))), extra: extra}
			writer.write(parsed)
			if !yield(writer.text.String()) {
				return
			}
		}
	}
}

// matchWriter writes a text that an expression matches.
type matchWriter struct {
	text  strings.Builder
	rand  *rand.Rand
	extra int // how often what may be repeated is, beyond what it must be
}

func (w *matchWriter) write(e *syntax.Regexp) {
	if w.text.Len() > mostText {
		return
	}
	repeat := func(least, most int) {
		if most < 0 {
			most = least + w.extra
		}
		for range min(most, least+w.extra) {
			w.write(e.Sub[0])
		}
	}
	switch e.Op {
	case syntax.OpLiteral:
		w.text.WriteString(string(e.Rune))
	case syntax.OpCharClass:
		w.text.WriteRune(w.of(e.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		w.text.WriteByte("abcdefghijklmnopqrstuvwxyz0123456789"[w.rand.IntN(36)])
	case syntax.OpCapture, syntax.OpConcat:
		for _, part := range e.Sub {
			w.write(part)
		}
	case syntax.OpAlternate:
		w.write(e.Sub[w.rand.IntN(len(e.Sub))])
	case syntax.OpStar:
		repeat(0, -1)
	case syntax.OpPlus:
		repeat(1, -1)
	case syntax.OpQuest:
		repeat(0, 1)
	case syntax.OpRepeat:
		repeat(e.Min, e.Max)
	}
}

// of returns a character of a class, a letter or digit if there is one.
func (w *matchWriter) of(ranges []rune) rune {
	var plain []rune
	for i := 0; i+1 < len(ranges); i += 2 {
		for c := max(ranges[i], '0'); c <= min(ranges[i+1], 'z'); c++ {
			if c <= '9' || c >= 'a' || c >= 'A' && c <= 'Z' {
				plain = append(plain, c)
			}
		}
	}
	if len(plain) == 0 {
		if len(ranges) == 0 {
			return 'a'
		}
		return max(ranges[0], min(ranges[1], '!'))
	}
	return plain[w.rand.IntN(len(plain))]
}
