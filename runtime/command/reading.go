//runtime:with Reads Batch ClientStream Bidi

package command

import (
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

// reading reads requests from the standard input.
type reading struct {
	requests
	in     *input
	empty  func() proto.Message
	batch  protoreflect.FieldDescriptor // its elements are the values of the input; nil if the requests are
	filled proto.Message                // has the other fields of a batch
	whole  bool                         // whether a batch waits until it is full

	held     proto.Message // an element that did not fit into the batch before
	heldLine int
}

func init() {
	readStandardInput = func(c Command, env Env, p *parsed) *requests {
		stdin := env.Stdin
		if stdin == nil {
			stdin = strings.NewReader("")
		}
		r := &reading{in: newInput(stdin), empty: c.Call.request, whole: p.eventID != ""}
		r.read = r.nextRequest
		if c.Batch != "" {
			r.filled = p.request
			r.batch = p.request.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(c.Batch))
			r.read = r.nextBatch
		}
		return &r.requests
	}
}

func (r *reading) nextRequest() (proto.Message, error) {
	request := r.empty()
	err := r.in.next(request)
	r.first, r.last = r.in.line, r.in.line
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
		r.last = line
		list.Append(protoreflect.ValueOfMessage(element.ProtoReflect()))
		r.elements++
	}
	return request, nil
}
