//runtime:with Reads Batch command.ClientStream command.Bidi

package command

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A batch from the standard input has at most this many elements, and fewer if
// they are larger than that together. Servers take more, in one message.
const (
	maxBatch      = 500
	maxBatchBytes = 1 << 20
)

// reading reads requests from the standard input, and counts what was read.
type reading struct {
	read   func() (proto.Message, error) // returns the next request, or io.EOF after the last
	in     *input
	empty  func() proto.Message
	batch  protoreflect.FieldDescriptor // its elements are the values of the input; nil if the requests are
	filled proto.Message                // has the other fields of a batch
	whole  bool                         // whether a batch waits until it is full

	held     proto.Message // an element that did not fit into the batch before
	heldLine int

	first    int // line of the first element of the last request
	elements int // of the last request; 1 without batches
}

func init() { standardInput = &reader{isRead: isRead, follow: follow, help: readingHelp} }

// isRead reports whether the requests of a command, or the elements of its batches, are
// read: unless flags give them.
func isRead(c Command, env Env, given map[string][]string) bool {
	switch {
	case c.Call.manyRequests, c.Reads && redirected(env.Stdin):
		return len(given) == 0
	case c.Batch != "":
		return !slices.ContainsFunc(c.Flags, func(f Flag) bool { return f.Field == c.Batch && len(given[f.Name]) > 0 })
	}
	return false
}

// redirected reports whether something may come from a standard input that nobody
// types: a file or a pipe.
func redirected(stdin io.Reader) bool {
	file, ok := stdin.(*os.File)
	if !ok {
		return stdin != nil
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice == 0
}

// readingHelp returns what help adds for a command that reads requests.
func readingHelp(c Command) string {
	switch {
	case c.Call.manyRequests:
		return "\nIt sends the one request that the flags of its fields describe. Without such\n" +
			"flags it reads requests from the standard input, as JSON values one after the\n" +
			"other, and sends each as soon as it is read.\n"
	case c.Batch != "":
		return fmt.Sprintf("\nWithout the flag of %s it reads their values from the standard input, as JSON\n"+
			"values one after the other, sends them in batches, and prints each reply in one\n"+
			"line.\n", c.Batch)
	case c.Reads:
		return "\nIt sends the one request that the flags of its fields describe. Without such\n" +
			"flags it reads requests from the standard input if that is a file or a pipe, as\n" +
			"JSON values one after the other, makes a call for each, and prints each reply in\n" +
			"one line.\n"
	}
	return ""
}

func newReading(c Command, env Env, p *parsed) *reading {
	stdin := env.Stdin
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	r := &reading{in: newInput(stdin), empty: c.Call.request, whole: p.eventID != "", elements: 1}
	r.read = r.nextRequest
	if c.Batch != "" {
		r.filled = p.request
		r.batch = p.request.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(c.Batch))
		r.read = r.nextBatch
	}
	return r
}

func (r *reading) nextRequest() (proto.Message, error) {
	request := r.empty()
	err := r.in.next(request)
	r.first = r.in.line
	return request, err
}

// nextBatch returns a request with the next elements: until there are enough, or
// until nothing else has arrived. It returns an error only before the first: what was
// read before a mistake is sent.
func (r *reading) nextBatch() (proto.Message, error) {
	request := proto.Clone(r.filled)
	list := request.ProtoReflect().Mutable(r.batch).List()
	size := 0
	r.elements = 0
	for r.elements < maxBatch && (r.elements == 0 || r.held != nil || r.whole || r.in.arrived()) {
		element, line := r.held, r.heldLine
		r.held = nil
		if element == nil {
			element = list.NewElement().Message().Interface()
			if err := r.in.next(element); err != nil {
				if r.elements == 0 {
					return nil, err
				}
				r.in.failed = err
				break
			}
			line = r.in.line
		}
		if size += proto.Size(element); r.elements > 0 && size > maxBatchBytes {
			r.held, r.heldLine = element, line
			break
		}
		if r.elements == 0 {
			r.first = line
		}
		list.Append(protoreflect.ValueOfMessage(element.ProtoReflect()))
		r.elements++
	}
	return request, nil
}
