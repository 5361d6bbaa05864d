package command

import (
	"io"
	"os"
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

// requests are the requests of a call: the one that flags describe, or those of
// the standard input. It counts what was read.
type requests struct {
	one    proto.Message // nil if they come from the standard input, or once it was returned
	in     *input        // nil if they don't
	empty  func() proto.Message
	batch  protoreflect.FieldDescriptor // its elements are the values of the input; nil if the requests are
	filled proto.Message                // has the other fields of a batch
	whole  bool                         // whether a batch waits until it is full
	held   proto.Message                // an element that did not fit into the batch before

	first, last int // lines of the first and the last element of the last request
	heldLine    int
	elements    int // of the last request; 1 without batches
}

// next returns the next request, or io.EOF after the last.
func (r *requests) next() (proto.Message, error) {
	r.elements = 1
	switch {
	case r.one != nil:
		one := r.one
		r.one = nil
		return one, nil
	case r.in == nil:
		return nil, io.EOF
	case r.batch != nil:
		return r.nextBatch()
	}
	request := r.empty()
	err := r.in.next(request)
	r.first, r.last = r.in.line, r.in.line
	return request, err
}

// nextBatch returns a request with the next elements: until there are enough, or
// until nothing else has arrived. It returns an error only before the first: what was
// read before a mistake is sent.
func (r *requests) nextBatch() (proto.Message, error) {
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
		r.last = line
		list.Append(protoreflect.ValueOfMessage(element.ProtoReflect()))
		r.elements++
	}
	return request, nil
}

// requests returns the requests of a parsed command line.
func (c Command) requests(env Env, p *parsed) *requests {
	if !p.reads {
		return &requests{one: p.request}
	}
	stdin := env.Stdin
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	r := &requests{in: newInput(stdin), empty: c.Call.request, whole: p.eventID != ""}
	if c.Batch != "" {
		r.filled = p.request
		r.batch = p.request.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(c.Batch))
	}
	return r
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
