package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Complaint is something wrong with a proto, and where.
type Complaint struct {
	File         string
	Line, Column int // from 1; 0 where the request has no positions
	Text         string

	// cause is the same for complaints that one change mends; "" for one that is
	// alone.
	cause string
}

// Error returns the complaint as compilers write it: file:line:column: text.
func (c Complaint) Error() string { return c.place() + ": " + c.Text }

// place returns file:line:column, or the file alone where there are no positions.
func (c Complaint) place() string {
	if c.Line == 0 {
		return c.File
	}
	return fmt.Sprintf("%s:%d:%d", c.File, c.Line, c.Column)
}

// Complaints are all that is wrong, in the order of their places.
type Complaints []Complaint

// Error has a line for each cause: the first complaint, how many more there are, and
// where some of those are.
func (cs Complaints) Error() string {
	var lines []string
	told := map[string]bool{}
	for _, c := range cs {
		if told[c.cause] && c.cause != "" {
			continue
		}
		told[c.cause] = true
		lines = append(lines, c.Error()+More(cs.others(c)))
	}
	return strings.Join(lines, "\n")
}

// others returns the places of the other complaints with the cause of one, each once.
func (cs Complaints) others(first Complaint) (places []string) {
	for _, c := range cs {
		if place := c.place(); c.cause != "" && c.cause == first.cause && c != first && !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	return places
}

// More returns what ends a line that replaces others: how many they are, and where
// some of them are; "" for none.
func More(places []string) string {
	const some = 3
	switch n := len(places); {
	case n == 0:
		return ""
	case n <= some:
		return fmt.Sprintf(" (and %d more: %s)", n, strings.Join(places, ", "))
	default:
		return fmt.Sprintf(" (and %d more: %s, …)", n, strings.Join(places[:some], ", "))
	}
}

// add complains about a descriptor, once.
func (cs *Complaints) add(d protoreflect.Descriptor, format string, args ...any) {
	cs.put(placeOf(d), format, args...)
}

// addFor complains about a descriptor, once, and says what the cause is.
func (cs *Complaints) addFor(cause string, d protoreflect.Descriptor, format string, args ...any) {
	at := placeOf(d)
	at.cause = cause
	cs.put(at, format, args...)
}

// put complains about a place, once.
func (cs *Complaints) put(at Complaint, format string, args ...any) {
	at.Text = fmt.Sprintf(format, args...)
	if !slices.Contains(*cs, at) {
		*cs = append(*cs, at)
	}
}

// placeOf returns a complaint about a descriptor, without its text.
func placeOf(d protoreflect.Descriptor) Complaint {
	file := d.ParentFile()
	c := Complaint{File: file.Path()}
	if at := file.SourceLocations().ByDescriptor(d); len(at.Path) > 0 {
		c.Line, c.Column = at.StartLine+1, at.StartColumn+1
	} else if file == d {
		c.Line, c.Column = 1, 1
	}
	return c
}

// err returns nil if there is nothing to complain about.
func (cs Complaints) err() error {
	if len(cs) == 0 {
		return nil
	}
	slices.SortStableFunc(cs, func(a, b Complaint) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return cs
}

// at complains about the place of a source code path (descriptor.proto,
// SourceCodeInfo.Location), or the beginning of the file if there is no such place.
func (cs *Complaints) at(file *descriptorpb.FileDescriptorProto, sourcePath []int32, format string, args ...any) {
	cs.atFor("", file, sourcePath, format, args...)
}

// atFor complains about such a place, and says what the cause is.
func (cs *Complaints) atFor(cause string, file *descriptorpb.FileDescriptorProto, sourcePath []int32, format string, args ...any) {
	c := Complaint{File: file.GetName(), Line: 1, Column: 1, Text: fmt.Sprintf(format, args...), cause: cause}
	for _, location := range file.GetSourceCodeInfo().GetLocation() {
		if slices.Equal(location.GetPath(), sourcePath) {
			c.Line, c.Column = int(location.GetSpan()[0])+1, int(location.GetSpan()[1])+1
		}
	}
	*cs = append(*cs, c)
}
