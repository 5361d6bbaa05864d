package render

import (
	gocomment "go/doc/comment"
	"slices"
	"strings"
	"text/template"
	"unicode"
	"unicode/utf8"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// Function is a function that a template can call, besides those of text/template.
type Function struct {
	Name    string
	Doc     string // what it returns
	Example string // a call of it; "" if that takes an element

	must string // its name in sprig, if the function of the same name hides errors
}

// Functions returns all of them, ours first.
func Functions() []Function { return slices.Concat(ours, fromSprig) }

// ours are the functions that know Go and the model.
var ours = []Function{
	{Name: "pkg", Doc: "the name of a package (a GoPackage), which it also imports into a Go file: `{{pkg .Impl}}.New()`"},
	{Name: "type", Doc: "the Go type of a Message, whose package it also imports into a Go file: `*{{type .Input}}`"},
	{Name: "open", Doc: "what begins a new Message, before its fields: `&shopv1.Reply{`, or `shopv1.Reply_builder{` if it has the opaque or the hybrid API"},
	{Name: "close", Doc: "what ends it: `}`, or `}.Build()`"},
	{Name: "comment", Doc: "a text as a Go comment, with long lines wrapped", Example: `comment "Takes orders."`},
}

// perFile returns the functions that depend on the file's imports. For parsing,
// imports may be nil.
func perFile(imports *imports) template.FuncMap {
	typeOf := func(m *model.Message) string { return imports.use(m.Go) + "." + m.Name }
	return template.FuncMap{
		"pkg":  func(p model.GoPackage) string { return imports.use(p) },
		"type": typeOf,
		"open": func(m *model.Message) string {
			if m.Built {
				return typeOf(m) + "_builder{"
			}
			return "&" + typeOf(m) + "{"
		},
		"close": func(m *model.Message) string {
			if m.Built {
				return "}.Build()"
			}
			return "}"
		},
	}
}

// dropInvalid drops a rune that Go refuses in a source file, also in a comment.
func dropInvalid(r rune) rune {
	if r == '\ufeff' || r == 0 || r == utf8.RuneError {
		return -1
	}
	return r
}

// width is the column at which comments are wrapped.
const width = 80

// comment returns text as a Go comment. It wraps lines that are too long, and puts
// what is left of one at the beginning of the next line of the paragraph. It keeps all
// other line breaks, because they may be there on purpose.
func comment(text string) string {
	if strings.TrimSpace(text) == "" {
		return ""
	}
	var lines []string
	rest := "" // of a line that was wrapped
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		line = strings.TrimRight(line, " \t\r")
		if rest != "" && goesOn(rest, line) {
			lines = lines[:len(lines)-1]
			line = rest + " " + line
		}
		wrapped := wrap(line)
		lines, rest = append(lines, wrapped...), ""
		if len(wrapped) > 1 {
			rest = strings.TrimPrefix(wrapped[len(wrapped)-1], "// ")
		}
	}
	return strings.Join(likeGofmt(lines), "\n")
}

// goesOn reports whether a line goes on with what a line before it began: that one does
// not end a sentence, and this one is not blank, indented, a heading or an item of a list.
func goesOn(before, line string) bool {
	first, _ := utf8.DecodeRuneInString(line)
	return !strings.ContainsAny(before[len(before)-1:], ".:;!?") && (unicode.IsLetter(first) || strings.ContainsRune("(\"'`", first))
}

// likeGofmt formats the lines of a doc comment as gofmt does, with its rules for
// lists, headings and code.
func likeGofmt(lines []string) []string {
	text := make([]string, len(lines))
	for i, line := range lines {
		text[i] = strings.TrimPrefix(strings.TrimPrefix(line, "//"), " ")
	}
	doc := new(gocomment.Parser).Parse(strings.Join(text, "\n"))
	if len(doc.Content) == 0 {
		return lines
	}
	formatted := strings.TrimSuffix(string(new(gocomment.Printer).Comment(doc)), "\n")
	lines = lines[:0]
	for line := range strings.SplitSeq(formatted, "\n") {
		if line != "" && line[0] != '\t' {
			line = " " + line
		}
		lines = append(lines, "//"+line)
	}
	return lines
}

// wrap returns one line of text as comment lines.
func wrap(text string) (lines []string) {
	text = strings.Map(dropInvalid, text)
	if strings.HasPrefix(strings.TrimSpace(text), "+build") {
		text = "(" + strings.TrimSpace(text) + ")" // gofmt would take it for a constraint
	}
	if text == "" {
		return []string{"//"}
	}
	if strings.HasPrefix(text, "\t") || strings.HasPrefix(text, "    ") {
		return []string{"//" + text} // code, by Go's rules
	}
	line := "//"
	for word := range strings.FieldsSeq(text) {
		if line != "//" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), "//"
		}
		line += " " + word
	}
	return append(lines, line)
}
