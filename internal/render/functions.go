package render

import (
	gocomment "go/doc/comment"
	"strings"
	"text/template"
	"unicode/utf8"

	"github.com/Masterminds/sprig/v3"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// fromSprig are the functions of sprig that a template may use: those that
// give the same result at every run, on every machine.
var fromSprig = []string{
	"contains", "default", "hasPrefix", "hasSuffix", "indent", "join", "kebabcase", "list", "lower", "nindent", "quote",
	"repeat", "replace", "snakecase", "sortAlpha", "splitList", "ternary", "trim", "trimPrefix", "trimSuffix", "uniq", "upper",
}

var allowed = func() template.FuncMap {
	all, some := sprig.TxtFuncMap(), template.FuncMap{}
	for _, name := range fromSprig {
		some[name] = all[name]
	}
	return some
}()

// functions are what a template can call besides. imports may be nil where
// nothing is executed.
func functions(imports *imports) template.FuncMap {
	all := template.FuncMap{
		// comment writes text as a Go comment.
		"comment": comment,
		// pkg names a package, and imports it.
		"pkg": func(p model.GoPackage) string { return imports.use(p) },
		// type names the type of a message, and imports its package.
		"type": func(m *model.Message) string { return imports.use(m.Go) + "." + m.Name },
	}
	for name, function := range allowed {
		all[name] = function
	}
	return all
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
