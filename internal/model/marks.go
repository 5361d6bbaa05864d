package model

import (
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/spelling"
)

// Mark says about an element of a proto, from outside of it, what a comment there
// would say.
type Mark struct {
	name protoreflect.FullName
	directive
}

// ParseMarks reads the text of a file: on each line the full name of a message, a
// field or an rpc, and then what its comments would say. # begins a comment. A line
// that is not so is an error of type [Complaints], with its place in the file, which
// is called name there.
func ParseMarks(name, text string) (marks []Mark, err error) {
	var complaints Complaints
	number := 0
	for line := range strings.SplitSeq(strings.TrimPrefix(text, "\ufeff"), "\n") {
		number++
		at := Complaint{File: name, Line: number, Column: 1}
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		said := words[1:]
		element := protoreflect.FullName(strings.TrimPrefix(words[0], "."))
		if !element.IsValid() || len(said) == 0 {
			complaints.put(at, "want the full name of a message, a field or an rpc, and then what it is, as in shop.v1.Order %sevent", prefix)
			continue
		}
	line:
		for _, word := range said {
			switch text, ours := ours(word); {
			case ours:
				marks = append(marks, Mark{element, directive{text, at}})
			case misspelt(word) != "":
				complaints.put(at, "%s is misspelt: write %s%s", word, prefix, misspelt(word))
			default:
				complaints.put(at, "%s is not understood: after the name, each word begins with %s", word, prefix)
				break line
			}
		}
	}
	return marks, complaints.err()
}

// mark takes note of marks, and complains about those of unknown elements, and those
// that can't be.
func (b *builder) mark(marks []Mark) {
	if len(marks) == 0 {
		return
	}
	known := b.elements()
	for _, mark := range marks {
		d := known[mark.name]
		if d == nil {
			b.complaints.put(mark.at, "there is no %s in these protos%s", mark.name, nearestName(mark.name, known))
			continue
		}
		allowed, belongs := words(nil), belongs
		switch d.(type) {
		case protoreflect.MessageDescriptor:
			allowed = onMessage
		case protoreflect.FieldDescriptor:
			allowed = onField
		case protoreflect.MethodDescriptor:
			allowed = onMethod
		}
		switch earlier := b.marked(mark); {
		case !allowed.allow(mark.text):
			b.complaints.put(mark.at, "%s", strings.Replace(refusal(mark.text, named(d), belongs, allowed), "the comment ", "", 1))
		case earlier != nil:
			b.complaints.put(mark.at, "%s%s is written about %s already (%s): remove one of the two", prefix, mark.text, mark.name, earlier.at.place())
		default:
			b.outside[mark.name] = append(b.outside[mark.name], mark.directive)
		}
	}
}

// marked returns the earlier mark that says the same, or nil.
func (b *builder) marked(mark Mark) *directive {
	for i, earlier := range b.outside[mark.name] {
		if earlier.text == mark.text {
			return &b.outside[mark.name][i]
		}
	}
	return nil
}

// elements returns what the protos declare, by full name.
func (b *builder) elements() map[protoreflect.FullName]protoreflect.Descriptor {
	all := map[protoreflect.FullName]protoreflect.Descriptor{}
	add := func(d protoreflect.Descriptor) { all[d.FullName()] = d }
	enums := func(enums []*protogen.Enum) {
		for _, enum := range enums {
			add(enum.Desc)
			for _, value := range enum.Values {
				add(value.Desc)
			}
		}
	}
	var messages func([]*protogen.Message)
	messages = func(in []*protogen.Message) {
		for _, message := range in {
			add(message.Desc)
			for _, field := range message.Fields {
				add(field.Desc)
			}
			for _, oneof := range message.Oneofs {
				add(oneof.Desc)
			}
			enums(message.Enums)
			messages(message.Messages)
		}
	}
	for _, file := range b.plugin.Files {
		enums(file.Enums)
		messages(file.Messages)
		for _, service := range file.Services {
			add(service.Desc)
			for _, method := range service.Methods {
				add(method.Desc)
			}
		}
	}
	return all
}

// nearestName returns the question whether a similar name was meant, or "".
func nearestName(name protoreflect.FullName, known map[protoreflect.FullName]protoreflect.Descriptor) string {
	near, least := protoreflect.FullName(""), min(len(name)/3, 4)+1
	for other := range known {
		if d := spelling.Distance(string(name), string(other)); d < least || d == least && near != "" && other < near {
			near, least = other, d
		}
	}
	if near == "" {
		for other := range known { // perhaps it is a name without its package
			if strings.HasSuffix(string(other), "."+string(name)) && (near == "" || other < near) {
				near = other
			}
		}
	}
	if near == "" {
		return ": give its full name"
	}
	return ": did you mean " + string(near) + "?"
}
