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

// Error is an error in a template, or in what it makes.
type Error struct {
	At           string // the template, as the user knows it
	Line, Column int    // in the template, from 1; 0 if unknown
	Element      string // the element that it was executed for; "" if it was not
	Text         string

	more int // how many other elements have the same error
}

// Error returns the error as compilers print it, with the element before the text.
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

// Together merges errors that differ only in their elements, because a mistake in
// a template is usually one for all its elements, and those that say the same, because
// many files may depend on one that can't be read.
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
			if !slices.ContainsFunc(all, func(other error) bool { return other.Error() == err.Error() }) {
				all = append(all, err)
			}
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

// manual refers to the description of what templates can use.
const manual = "see docs/templates.md"

// The errors of text/template, after the template's name. They are compiled when
// there is an error, and not at the start of every run.
const (
	parseError   = `(?s)^:(\d+): (.*)$`
	executeError = `(?s)^:(\d+):(\d+): executing ".*?" at (<.*?>): (.*)$`
	noFunction   = `^function "(.*)" not defined$`
	noField      = `^can't evaluate field (\w+) in type (\S+)$`
	noValue      = `^nil pointer evaluating \*?(?:model\.)?(\S+)$`
)

// submatches returns the submatches of a pattern in a text.
func submatches(pattern, text string) []string {
	return regexp.MustCompile(pattern).FindStringSubmatch(text)
}

// parseFailure returns the error of a template that text/template can't parse.
func parseFailure(at string, err error) error {
	message := strings.TrimPrefix(err.Error(), "template: "+at)
	match := submatches(parseError, message)
	if match == nil {
		return &Error{At: at, Text: err.Error()}
	}
	line, _ := strconv.Atoi(match[1])
	text := match[2]
	if name := submatches(noFunction, text); name != nil {
		text = noSuchFunction(name[1])
	}
	return &Error{At: at, Line: line, Text: text}
}

// executeFailure returns the error of a template that can't be executed for an
// element.
func executeFailure(at string, element model.Element, err error) error {
	message := strings.TrimPrefix(err.Error(), "template: "+at)
	match := submatches(executeError, message)
	if match == nil {
		return &Error{At: at, Element: element.String(), Text: message}
	}
	line, _ := strconv.Atoi(match[1])
	column, _ := strconv.Atoi(match[2])
	return &Error{At: at, Line: line, Column: column + 1, Element: element.String(), Text: match[3] + ": " + readable(match[4])}
}

// readable returns an error of text/template in terms of the model.
func readable(text string) string {
	if match := submatches(noField, text); match != nil {
		return noSuchField(match[1], match[2])
	}
	if match := submatches(noValue, text); match != nil {
		return fmt.Sprintf("%s can't be read, because there is no value for this element: check that first, with {{with}} or {{if}}", match[1])
	}
	return strings.ReplaceAll(strings.TrimPrefix(text, "error calling fail: "), "model.", "")
}

// noSuchField returns the error for a field that a type doesn't have, with those
// that it has.
func noSuchField(name, of string) string {
	plain := strings.TrimPrefix(strings.TrimPrefix(of, "*"), "model.")
	if list, ok := strings.CutPrefix(of, "[]"); ok {
		return fmt.Sprintf("this is a list of %s, and a list has no %s: use {{range}} for its items", strings.TrimPrefix(strings.TrimPrefix(list, "*"), "model."), name)
	}
	has := members(plain)
	if len(has) == 0 {
		return fmt.Sprintf("%s has no %s (%s)", plain, name, manual)
	}
	return fmt.Sprintf("%s has no %s%s It has %s (%s)", plain, name, sentence(suggestion(name, has)), strings.Join(has, ", "), manual)
}

// sentence returns a full stop in place of an empty suggestion.
func sentence(text string) string {
	if text == "" {
		return "."
	}
	return text
}

// members returns the fields and methods of a type of the model that templates can
// use, or none if there is no such type.
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

// forRender are the methods of [model.Element], which templates don't need.
var forRender = []string{"Variant", "Traces", "Declared", "String"}

// typesOf returns the structs that templates of the scopes can reach, by name.
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
