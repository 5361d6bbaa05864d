package render

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// Error is something wrong with a template, or with what it makes.
type Error struct {
	At           string // the template, as the user knows it
	Line, Column int    // in it, from 1; 0 where there is no telling
	Element      string // that it was executed for; "" if it was not
	Text         string

	more int // elements for which it is the same
}

// Error is the error as compilers write it, with the element before the text.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.At)
	for _, n := range []int{e.Line, e.Column} {
		if n > 0 {
			fmt.Fprintf(&b, ":%d", n)
		}
	}
	b.WriteString(": ")
	switch {
	case e.Element != "" && e.more > 0:
		fmt.Fprintf(&b, "for %s, and %d more: ", e.Element, e.more)
	case e.Element != "":
		fmt.Fprintf(&b, "for %s: ", e.Element)
	}
	b.WriteString(e.Text)
	return b.String()
}

// Together makes one error of many that differ in the element alone, as a
// template that is wrong is wrong for all of them.
func Together(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var all []error
	first := map[Error]*Error{}
	for _, err := range joined.Unwrap() {
		one, ok := err.(*Error)
		if !ok {
			all = append(all, err)
			continue
		}
		key := *one
		key.Element = ""
		if known := first[key]; known != nil {
			known.more++
			continue
		}
		same := *one
		first[key] = &same
		all = append(all, &same)
	}
	return errors.Join(all...)
}

// manual is where it is told what templates have.
const manual = "see docs/templates.md"

// What text/template says, behind the template's name. They are compiled when
// something is wrong, and not at the start of every run.
const (
	parseError   = `(?s)^:(\d+): (.*)$`
	executeError = `(?s)^:(\d+):(\d+): executing ".*?" at (<.*?>): (.*)$`
	noFunction   = `^function "(.*)" not defined$`
	noField      = `^can't evaluate field (\w+) in type (\S+)$`
	noValue      = `^nil pointer evaluating \*?(?:model\.)?(\S+)$`
)

// submatches are what a pattern finds in a text.
func submatches(pattern, text string) []string {
	return regexp.MustCompile(pattern).FindStringSubmatch(text)
}

// misparsed is the error of a template that text/template can't read.
func misparsed(at string, err error) error {
	said := strings.TrimPrefix(err.Error(), "template: "+at)
	found := submatches(parseError, said)
	if found == nil {
		return &Error{At: at, Text: err.Error()}
	}
	line, _ := strconv.Atoi(found[1])
	text := found[2]
	if name := submatches(noFunction, text); name != nil {
		text = refusal(name[1])
	}
	return &Error{At: at, Line: line, Text: text}
}

// misexecuted is the error of a template that can't be executed for an element.
func misexecuted(at string, element model.Element, err error) error {
	said := strings.TrimPrefix(err.Error(), "template: "+at)
	found := submatches(executeError, said)
	if found == nil {
		return &Error{At: at, Element: element.String(), Text: said}
	}
	line, _ := strconv.Atoi(found[1])
	column, _ := strconv.Atoi(found[2])
	return &Error{At: at, Line: line, Column: column + 1, Element: element.String(), Text: found[3] + ": " + inWords(found[4])}
}

// inWords says what text/template says in the words of the model.
func inWords(text string) string {
	if found := submatches(noField, text); found != nil {
		return missing(found[1], found[2])
	}
	if found := submatches(noValue, text); found != nil {
		return fmt.Sprintf("there is nothing to take %s of here: ask first, with {{with}} or {{if}}", found[1])
	}
	return strings.ReplaceAll(strings.TrimPrefix(text, "error calling fail: "), "model.", "")
}

// missing says that a type has no field of a name, and which it has.
func missing(name, of string) string {
	plain := strings.TrimPrefix(strings.TrimPrefix(of, "*"), "model.")
	if list, found := strings.CutPrefix(of, "[]"); found {
		return fmt.Sprintf("this is a list of %s, which has no %s: go through it with {{range}}", strings.TrimPrefix(strings.TrimPrefix(list, "*"), "model."), name)
	}
	has := members(plain)
	if len(has) == 0 {
		return fmt.Sprintf("%s has no %s (%s)", plain, name, manual)
	}
	return fmt.Sprintf("%s has no %s%s It has %s (%s)", plain, name, sentence(suggestion(name, has)), strings.Join(has, ", "), manual)
}

// sentence ends what is not ended yet.
func sentence(text string) string {
	if text == "" {
		return "."
	}
	return text
}

// members are the fields and methods that templates can use of a type of the
// model, or none if there is no such type.
func members(of string) (names []string) {
	t := typesOf(model.Scopes)[of]
	if t == nil {
		return nil
	}
	for _, field := range reflect.VisibleFields(t) {
		if field.IsExported() && !field.Anonymous {
			names = append(names, field.Name)
		}
	}
	pointer := reflect.PointerTo(t)
	for i := range pointer.NumMethod() {
		if name := pointer.Method(i).Name; !slices.Contains(forRender, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// forRender are the methods of [model.Element], which are no use in a template.
var forRender = []string{"Variant", "Traces", "Declared", "String"}

// typesOf are the structs that the templates of scopes can get at, by name.
func typesOf(scopes []model.Scope) map[string]reflect.Type {
	all := map[string]reflect.Type{}
	var add func(t reflect.Type)
	add = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || all[t.Name()] != nil {
			return
		}
		all[t.Name()] = t
		for _, field := range reflect.VisibleFields(t) {
			if field.IsExported() {
				add(field.Type)
			}
		}
	}
	for _, scope := range scopes {
		add(reflect.TypeOf(scope.Data))
	}
	return all
}
