package model

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/spelling"
)

// prefix begins a line of a comment that is meant for this plugin.
const prefix = "receiver:"

// Comment is what a comment can say about an element: its text, without the prefix
// and with words in capitals for names, and what that does.
type Comment struct{ Text, Doc string }

// words are what can be stated about an element.
type words []Comment

// What can be stated, by what it is about. The reference is generated from this.
var (
	onMethod = slices.Concat(words{
		{"event", "its request is an event, which is stored whole; if all that it holds is one event or a list of them, those are stored"},
		{"event=FIELD", "what this field of the request holds is the event, or the events; the other fields are not stored"},
		{"plain", "it takes no events"},
		{"tail", "it is a stream that replays the log and follows it; its reply is an event or holds one"},
	}, alike("=FIELD", "this field of the event has this role, as if the comment were above it; of a time with its unit: `time=FIELD:ms`",
		"id", "source", "type", "subject", "time", "data"), words{
		{"none=FIELD", "this field of the event has no role"},
	})
	onMessage = words{
		{"event", "it is an event"},
		{"plain", "it is not an event"},
		{was + "OLD.NAME", "what was stored under this full name, or several with commas between them, is read as this event"},
	}
	onField = slices.Concat(
		alike("", hasRole, "id", "source", "type", "subject", "time"),
		alike("", "it has the role of a time, as an integer in this unit", "time=s", "time=ms", "time=us", "time=ns"),
		alike("", hasRole, "data"),
		alike("", "of a reply: a skeleton fills it in", "position", "event_id", "duplicate", "recorded_time"),
		alike("", "of a reply: a skeleton fills it in, as an integer in this unit", "recorded_time=s", "recorded_time=ms", "recorded_time=us", "recorded_time=ns"),
		words{{"none", "it has no role, whatever it is called"}})
)

const hasRole = "it has this role of an event; a field may have several"

// alike returns words that do the same.
func alike(ending, doc string, texts ...string) (w words) {
	for _, text := range texts {
		w = append(w, Comment{text + ending, doc})
	}
	return w
}

// Comments returns what can be stated above a message, a field and an RPC.
func Comments() (onMessages, onFields, onRPCs []Comment) { return onMessage, onField, onMethod }

// texts returns what can be stated.
func (w words) texts() []string {
	texts := make([]string, len(w))
	for i, one := range w {
		texts[i] = one.Text
	}
	return texts
}

// allow reports whether a text is one of the words, with a name for capitals.
func (w words) allow(text string) bool {
	word, value, named := strings.Cut(text, "=")
	return slices.Contains(w.texts(), text) || named && value != "" && !strings.Contains(value, "=") && w.takesName(word)
}

// takesName reports whether a word takes a name.
func (w words) takesName(word string) bool {
	return slices.ContainsFunc(w.texts(), func(one string) bool {
		name, found := strings.CutPrefix(one, word+"=")
		return found && name == strings.ToUpper(name)
	})
}

// meant returns the allowed text that is most similar to another, or "".
func (w words) meant(text string) string {
	word, value, named := strings.Cut(text, "=")
	if near := spelling.Nearest(text, w.texts()); near != "" && near != strings.ToUpper(near) && !w.takesName(strings.Split(near, "=")[0]) {
		return near
	}
	var names []string
	for _, one := range w.texts() {
		if name, _, takes := strings.Cut(one, "="); takes == named && (!takes || w.takesName(name)) {
			names = append(names, name)
		}
	}
	near := spelling.Nearest(word, names)
	if near != "" && named {
		near += "=" + value
	}
	return near
}

func (w words) String() string { return prefix + strings.Join(w.texts(), ", "+prefix) }

// directive is what a line that is meant for this plugin says: its text without the
// prefix, and where it is.
type directive struct {
	text string
	at   Complaint // without a text
}

// directives returns what is stated about an element, without repetitions: by its
// comments, unless they are not read, and by marks. It complains about a comment
// that is not one of the allowed words, or is misspelt.
func (b *builder) directives(d protoreflect.Descriptor, comments protogen.CommentSet, allowed words) (all []directive) {
	if b.events == EventsOff {
		return nil
	}
	if b.events == EventsAuto && anyMeantForUs(comments) { // without which the place would be looked up for nothing
		for _, text := range b.lines(placeOf(d), named(d), b.belongs(d), comments, allowed) {
			all = append(all, directive{text, placeOf(d)})
		}
	}
	for _, mark := range b.outside[d.FullName()] {
		if !slices.ContainsFunc(all, func(one directive) bool { return one.text == mark.text }) {
			all = append(all, mark)
		}
	}
	return all
}

// stance returns which of some words is stated about an element, with its name if it
// has one, or "". It complains if there are two.
func (b *builder) stance(d protoreflect.Descriptor, comments protogen.CommentSet, allowed words, which ...string) (said string) {
	for _, one := range b.directives(d, comments, allowed) {
		word, _, _ := strings.Cut(one.text, "=")
		switch {
		case !slices.Contains(which, word):
		case said != "" && said != one.text:
			b.complaints.put(one.at, "the comments %s%s and %s%s on %s contradict each other", prefix, said, prefix, one.text, named(d))
		default:
			said = one.text
		}
	}
	return said
}

// lines returns the allowed lines of the comments of an element that is called name,
// and complains about the others that are meant for this plugin. belongs says where
// what is not allowed belongs.
func (b *builder) lines(at Complaint, name string, belongs func(text string) string, comments protogen.CommentSet, allowed words) (all []string) {
	for _, detached := range comments.LeadingDetached {
		for _, line := range meantForUs(string(detached)) {
			b.complaints.put(at, "the comment %s is not directly above %s: write it on the line before, without a blank line between them", cmp.Or(line.wrong, prefix+line.text), name)
		}
	}
	for _, line := range meantForUs(string(comments.Leading) + "\n" + string(comments.Trailing)) {
		switch {
		case line.wrong != "":
			b.complaints.put(at, "the comment %s on %s is misspelt: write %s%s", line.wrong, name, prefix, line.text)
		case allowed.allow(line.text):
			all = append(all, line.text)
		default:
			b.complaints.put(at, "%s", refusal(line.text, name, belongs, allowed))
		}
	}
	return all
}

// refusal says what is wrong with a text that is not allowed on an element.
func refusal(text, name string, belongs func(string) string, allowed words) string {
	if where := belongs(text); where != "" {
		return fmt.Sprintf("the comment %s%s has no meaning on %s: %s", prefix, text, name, where)
	}
	if near := allowed.meant(text); near != "" {
		return fmt.Sprintf("the comment %s%s is unknown on %s: did you mean %s%s?", prefix, text, name, prefix, near)
	}
	for _, other := range []words{onMessage, onField, onMethod} {
		if near := other.meant(text); belongs(near) != "" {
			return fmt.Sprintf("the comment %s%s is unknown: if it should be %s%s, %s", prefix, text, prefix, near, belongs(near))
		}
	}
	switch {
	case len(allowed) == 0:
		return fmt.Sprintf("the comment %s%s has no meaning on %s", prefix, text, name)
	}
	return fmt.Sprintf("the comment %s%s is unknown on %s: want one of %s", prefix, text, name, allowed)
}

// belongs returns a function that says where a text belongs that is a word for
// another kind of element; and "" for any other text.
func (b *builder) belongs(d protoreflect.Descriptor) func(text string) string {
	return func(text string) string {
		switch d := d.(type) {
		case protoreflect.FieldDescriptor:
			if onMessage.allow(text) {
				return fmt.Sprintf("write it above %s (%s)", named(d.Parent()), b.at(d.Parent()))
			}
		case protoreflect.MethodDescriptor:
			if onField.allow(text) && onMethod.takesName(text) {
				return fmt.Sprintf("above an rpc it names a field of the event, as in %s%s=FIELD", prefix, text)
			}
		}
		return belongs(text)
	}
}

// belongs says where a text belongs, or returns "" if it is not a word for any.
func belongs(text string) string {
	switch {
	case onMessage.allow(text) && onMethod.allow(text):
		return "write it above a message or an rpc"
	case onMessage.allow(text):
		return "write it above a message"
	case onField.allow(text):
		return "write it above a field of a message"
	case onMethod.allow(text):
		return "write it above an rpc"
	}
	return ""
}

// doc returns what a proto says about an element, before it or else after it,
// without the lines that are meant for this plugin. What protobuf's own files say
// of theirs is not used: protoc, buf and generate have different releases of them,
// and what they make is to be the same.
func doc(d protoreflect.Descriptor, comments protogen.CommentSet) string {
	if strings.HasPrefix(d.ParentFile().Path(), "google/protobuf/") {
		return ""
	}
	return cmp.Or(withoutOurs(string(comments.Leading)), withoutOurs(string(comments.Trailing)))
}

func withoutOurs(comment string) string {
	var rest []string
	for line := range strings.SplitSeq(comment, "\n") {
		if _, ours := ours(line); !ours {
			rest = append(rest, strings.TrimPrefix(strings.TrimRight(line, " \t\r"), " "))
		}
	}
	return strings.Trim(strings.Join(rest, "\n"), "\n")
}

// ours returns what a line says that begins with the prefix. With a space after the
// prefix it is prose.
func ours(line string) (text string, ours bool) {
	text, ours = strings.CutPrefix(strings.TrimSpace(line), prefix)
	return text, ours && text != "" && text == strings.TrimSpace(text)
}

// line is a line of a comment that is meant for this plugin.
type line struct {
	text  string // that it says, without the prefix, or should say
	wrong string // how it is written, if it is misspelt
}

// meantForUs returns the lines of a comment that are meant for this plugin, also
// those that are misspelt. One line may say several things: after a field there is
// only one.
func meantForUs(comment string) (all []line) {
	for written := range strings.SplitSeq(comment, "\n") {
		if said := several(written); said != nil {
			all = append(all, said...)
		} else if text, ours := ours(written); ours {
			all = append(all, line{text: text})
		} else if text := misspelt(written); text != "" {
			all = append(all, line{text, strings.TrimSpace(written)})
		}
	}
	return all
}

// several returns what a line says each of whose words begins with the prefix; nil if
// there is another word, or only one.
func several(written string) (all []line) {
	if strings.Count(written, prefix) < 2 {
		return nil
	}
	words := strings.Fields(written)
	for _, word := range words {
		text, ours := ours(word)
		if !ours || len(words) == 1 {
			return nil
		}
		all = append(all, line{text: text})
	}
	return all
}

// anyMeantForUs reports whether any line of an element's comments is meant for this
// plugin.
func anyMeantForUs(comments protogen.CommentSet) bool {
	is := func(comment protogen.Comments) bool { return comment != "" && len(meantForUs(string(comment))) > 0 }
	return is(comments.Leading) || is(comments.Trailing) || slices.ContainsFunc(comments.LeadingDetached, is)
}

// asWritten is a line that is nothing but a word like our prefix, something like a
// colon, a word, and perhaps its value.
var asWritten = regexp.MustCompile(`^([A-Za-z]+)(\s*[:=]+\s*|[-./])([A-Za-z_]+)(?:\s*[:=]\s*([\w.]+))?$`)

// longest is how many spaces such a line has at most, if one is at each end of what is
// like a colon.
const longest = 4

// misspelt returns what was meant by a line that is nothing but a misspelt directive,
// or "": prose is not.
func misspelt(written string) (text string) {
	written = strings.Trim(written, " \t\r`'\"@+#*/-()[]{}<>.,;!")
	if strings.Count(written, " ") > longest {
		return "" // as most prose, without the cost of a look at it
	}
	parts := asWritten.FindStringSubmatch(written)
	if parts == nil {
		return ""
	}
	first, between, word, value := strings.ToLower(parts[1]), parts[2], strings.ToLower(parts[3]), parts[4]
	common := []string{"receive", "received", "receives", "receivers"}
	off := spelling.Distance(first, "receiver")
	if off > 2 || slices.Contains(common, first) && between != ":" {
		return ""
	}
	switch strings.TrimSpace(between) {
	case "-", ".", "/": // as in names of things that are received, unless the word is not such a thing
		if !slices.Contains([]string{"event", "plain", "tail"}, word) {
			return ""
		}
	}
	least := 0
	for _, known := range slices.Concat(onMethod, onMessage, onField) {
		one, _, _ := strings.Cut(known.Text, "=")
		if off := spelling.Distance(word, one); off <= (len(one)-1)/3 && (text == "" || off < least) {
			text, least = one, off
		}
	}
	if text != "" && value != "" {
		if onField.allow(text + "=" + strings.ToLower(value)) {
			value = strings.ToLower(value)
		}
		text += "=" + value
	}
	return text
}

// misplaced complains about comments for this plugin on elements that have none: on
// the file, an enum, a oneof, an option.
func (b *builder) misplaced(file *protogen.File) {
	for _, location := range file.Proto.GetSourceCodeInfo().GetLocation() {
		kind := elementKind(location.GetPath())
		if kind == "" || kind == "a message" || kind == "a field" || kind == "a service" || kind == "an rpc" {
			continue // which are read
		}
		span := location.GetSpan()
		at := Complaint{File: file.Desc.Path(), Line: int(span[0]) + 1, Column: int(span[1]) + 1}
		comments := protogen.CommentSet{Leading: protogen.Comments(location.GetLeadingComments()), Trailing: protogen.Comments(location.GetTrailingComments())}
		for _, detached := range location.GetLeadingDetachedComments() {
			comments.Leading += "\n" + protogen.Comments(detached)
		}
		b.lines(at, kind, belongs, comments, nil)
	}
}

// elementKinds are the kinds of element, by the kind that they are in, and the number
// of the field of their descriptor.
var elementKinds = map[string]map[int32]string{
	"the file":      {2: "the package", 3: "an import", 4: "a message", 5: "an enum", 6: "a service", 7: "an extension", 8: "an option", 12: "the syntax", 14: "the edition"},
	"a message":     {2: "a field", 3: "a message", 4: "an enum", 5: "a range of extensions", 6: "an extension", 7: "an option", 8: "a oneof", 9: "a reserved range", 10: "a reserved name"},
	"a field":       {8: "an option"},
	"an extension":  {8: "an option"},
	"a oneof":       {2: "an option"},
	"an enum":       {2: "an enum value", 3: "an option", 4: "a reserved range", 5: "a reserved name"},
	"an enum value": {3: "an option"},
	"a service":     {2: "an rpc", 3: "an option"},
	"an rpc":        {4: "an option"},
}

// elementKind returns what kind of element a source code path leads to
// (descriptor.proto, SourceCodeInfo.Location), or "" for a part of one.
func elementKind(path []int32) string {
	kind := "the file"
	for len(path) > 0 {
		within := elementKinds[kind]
		if within == nil {
			return kind // an option, or what else has no elements
		}
		if kind = within[path[0]]; kind == "" {
			return ""
		}
		path = path[min(2, len(path)):]
	}
	return kind
}

// toWrite returns what is to be written, and where: a comment above an element, or,
// if the proto is of another module, a line in the file of the option comments.
func (b *builder) toWrite(text string, d protoreflect.Descriptor) string {
	if _, ours := b.module.dir(string(b.plugin.FilesByPath[d.ParentFile().Path()].GoImportPath)); !ours {
		return fmt.Sprintf("the line %q in the file of the option comments=FILE", string(d.FullName())+" "+prefix+text)
	}
	return fmt.Sprintf("// %s%s above %s (%s)", prefix, text, named(d), b.at(d))
}
