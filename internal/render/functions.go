package render

import (
	gocomment "go/doc/comment"
	"slices"
	"strings"
	"text/template"
	"unicode/utf8"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// Function is what a template can call, besides what is text/template's own.
type Function struct {
	Name    string
	Doc     string // what it does, in words
	Example string // a call of it, whose result says the rest; "" where that takes an element

	must string // its name in sprig, where that of its own name hides what is wrong
}

// Functions are all of them, ours first.
func Functions() []Function { return slices.Concat(ours, fromSprig) }

// ours are the functions that know Go and the model.
var ours = []Function{
	{Name: "pkg", Doc: "the name of a package (a GoPackage), which a Go file imports by this: `{{pkg .Impl}}.New()`"},
	{Name: "type", Doc: "the Go type of a Message, whose package a Go file imports by this: `*{{type .Input}}`"},
	{Name: "comment", Doc: "text as a Go comment, its long lines wrapped", Example: `comment "Takes orders."`},
}

// mentioned are the functions that a template may call, those of them that are
// words of its text: to give it all takes longer than to parse it.
func mentioned(text string) template.FuncMap {
	some := bound(nil)
	for i := 0; i < len(text); i++ {
		begin := i
		for i < len(text) && inName(text[i]) {
			i++
		}
		if function := allowed[text[begin:i]]; function != nil {
			some[text[begin:i]] = function
		}
	}
	return some
}

// inName reports whether a letter can be part of a function's name.
func inName(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' }

// bound are the functions that differ from file to file, by its imports, which
// are nil where nothing is executed.
func bound(imports *imports) template.FuncMap {
	return template.FuncMap{
		"pkg":  func(p model.GoPackage) string { return imports.use(p) },
		"type": func(m *model.Message) string { return imports.use(m.Go) + "." + m.Name },
	}
}

// visible drops what Go refuses in a source file, also in a comment.
func visible(r rune) rune {
	if r == '\ufeff' || r == 0 || r == utf8.RuneError {
		return -1
	}
	return r
}

// width is where comments are wrapped.
const width = 80

// comment writes text as a Go comment. Lines that are too long are wrapped;
// others stay as they are, since a line break may mean something.
func comment(text string) string {
	if strings.TrimSpace(text) == "" {
		return ""
	}
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		lines = append(lines, wrap(strings.TrimRight(line, " \t\r"))...)
	}
	return strings.Join(likeGofmt(lines), "\n")
}

// likeGofmt lays the lines of a doc comment out as gofmt does: lists, headings
// and code have their places.
func likeGofmt(lines []string) []string {
	text := make([]string, len(lines))
	for i, line := range lines {
		text[i] = strings.TrimPrefix(strings.TrimPrefix(line, "//"), " ")
	}
	doc := new(gocomment.Parser).Parse(strings.Join(text, "\n"))
	if len(doc.Content) == 0 {
		return lines
	}
	laid := strings.TrimSuffix(string(new(gocomment.Printer).Comment(doc)), "\n")
	lines = lines[:0]
	for line := range strings.SplitSeq(laid, "\n") {
		if line != "" && line[0] != '\t' {
			line = " " + line
		}
		lines = append(lines, "//"+line)
	}
	return lines
}

// wrap makes comment lines of one line of text.
func wrap(text string) (lines []string) {
	text = strings.Map(visible, text)
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
