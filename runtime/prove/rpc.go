package prove

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)

// rpc is an RPC that takes events.
type rpc struct {
	takes
	name           string // with the place where it is implemented
	desc           protoreflect.MethodDescriptor
	request, reply protoreflect.MessageType
	event          protoreflect.MessageDescriptor
	holder         protoreflect.FieldDescriptor // nil if a request is an event
	newOne         func() proto.Message         // a request, with ids that no other has
	file           string                       // with that request, in the module; there may be none
	short          bool                         // whether lists are no longer than in that request

	// The load counts these.
	acknowledged int   // events
	failed       int   // calls, which are made again
	failure      error // of the last one
	refused      int   // calls, which are not made again
	refusal      error // of one of them; if there is one, that another event has the id
}

func newRPC(t takes) (r *rpc, err error) {
	r = &rpc{takes: t, name: strings.TrimPrefix(t.Where+": "+t.Service+"."+t.Method, ": ")}
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(t.Service + "." + t.Method))
	if err != nil {
		return nil, err
	}
	r.desc = found.(protoreflect.MethodDescriptor)
	if r.request, err = protoregistry.GlobalTypes.FindMessageByName(r.desc.Input().FullName()); err != nil {
		return nil, err
	}
	if r.reply, err = protoregistry.GlobalTypes.FindMessageByName(r.desc.Output().FullName()); err != nil {
		return nil, err
	}
	r.event = r.request.Descriptor()
	if r.holder = r.event.Fields().ByName(protoreflect.Name(t.Holder)); r.holder != nil {
		r.event = r.holder.Message()
	}
	in, unique := r.event, ""
	for name := range strings.SplitSeq(t.ID, ".") {
		if fd := in.Fields().ByName(protoreflect.Name(name)); fd != nil {
			in, unique = fd.Message(), string(fd.FullName())
		}
	}
	root := moduleRoot()
	r.file = r.sampleFile(root)
	r.newOne, err = servertest.RequestsOf(r.request.Zero().Interface(), filepath.Join(root, filepath.FromSlash(r.file)), unique)
	return r, err
}

// moduleRoot returns the path of the folder with go.mod.
func moduleRoot() string {
	root := "."
	for range 20 {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		root = filepath.Join(root, "..")
	}
	return root
}

// sampleFile returns the file of its request, beside its code in the module. It is named
// after the Go method, with underscores.
func (r *rpc) sampleFile(root string) string {
	dir := path.Join(path.Dir(r.Where), "testdata")
	name := strings.ToLower(r.Method) + ".json"
	files, _ := os.ReadDir(filepath.Join(root, filepath.FromSlash(dir)))
	for _, file := range files {
		if strings.ReplaceAll(file.Name(), "_", "") == strings.ReplaceAll(name, "_", "") {
			name = file.Name()
		}
	}
	return path.Join(dir, name)
}

// newRequest returns a request whose events have ids that no other has. A list has several
// times the events of a sample.
func (r *rpc) newRequest() proto.Message {
	request := r.newOne()
	if r.holder != nil && r.holder.IsList() && !r.short {
		list := request.ProtoReflect().Mutable(r.holder).List()
		for range several - 1 {
			for _, event := range r.events(r.newOne()) {
				list.Append(protoreflect.ValueOfMessage(event))
			}
		}
	}
	return request
}

// events returns the events of a request.
func (r *rpc) events(request proto.Message) (events []protoreflect.Message) {
	m := request.ProtoReflect()
	switch {
	case r.holder == nil:
		return []protoreflect.Message{m}
	case !r.holder.IsList():
		return []protoreflect.Message{m.Mutable(r.holder).Message()}
	}
	list := m.Mutable(r.holder).List()
	for i := range list.Len() {
		events = append(events, list.Get(i).Message())
	}
	return events
}

// several is how many requests there are in a stream, and events in a list.
const several = 3

// mark is the number of a field that no message has, in which each event has its number:
// whatever handles messages keeps fields that it does not know.
const mark protowire.Number = 536_870_000

// numberOf returns the number of a stored event.
func numberOf(event []byte) (number int, ok bool) {
	for len(event) > 0 {
		field, kind, n := protowire.ConsumeTag(event)
		if n < 0 {
			break
		}
		event = event[n:]
		if field == mark && kind == protowire.VarintType {
			value, n := protowire.ConsumeVarint(event)
			return int(value), n > 0
		}
		if n = protowire.ConsumeFieldValue(field, kind, event); n < 0 {
			break
		}
		event = event[n:]
	}
	return 0, false
}

// call is a call with events that no other call has.
type call struct {
	rpc      *rpc
	first    int // the number of its first event
	requests []proto.Message
	events   []protoreflect.Message // of all requests
}

func (r *rpc) newCall() *call {
	c := &call{rpc: r, requests: []proto.Message{r.newRequest()}}
	for r.desc.IsStreamingClient() && len(c.requests) < several {
		c.requests = append(c.requests, r.newRequest())
	}
	for _, request := range c.requests {
		c.events = append(c.events, r.events(request)...)
	}
	return c
}

var seed = maphash.MakeSeed()

// number gives its events numbers, and returns the hashes of the bytes that should be stored.
func (c *call) number(first int) (hashes []uint64) {
	c.first = first
	for i, event := range c.events {
		event.SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, mark, protowire.VarintType), uint64(first+i)))
		data, _ := proto.MarshalOptions{Deterministic: true}.Marshal(event.Interface())
		hashes = append(hashes, maphash.Bytes(seed, data))
	}
	return hashes
}

var prefix = eventid.New()[:24]

// idOfCall returns the id of a call whose first event has a number.
func idOfCall(first int) string { return fmt.Sprintf("%s%012x", prefix, first) }

// send makes the call once. It calls acknowledged for events that the server says it has
// stored.
func (c *call) send(ctx context.Context, conn *grpc.ClientConn, acknowledged func(first, events int)) error {
	ctx, cancel := context.WithTimeout(eventid.WithID(ctx, idOfCall(c.first)), callTime)
	defer cancel()
	reply, answersEach := c.rpc.reply.New().Interface(), c.rpc.desc.IsStreamingServer()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: c.rpc.desc.IsStreamingClient(), ServerStreams: answersEach},
		"/"+c.rpc.Service+"/"+c.rpc.Method)
	if err != nil {
		return err
	}
	for i, first := 0, c.first; i < len(c.requests); i++ {
		_ = stream.SendMsg(c.requests[i]) // what went wrong is in the reply
		if answersEach {
			if err := stream.RecvMsg(reply); errors.Is(err, io.EOF) {
				return errors.New("the stream ended without an answer to each request")
			} else if err != nil {
				return err
			}
			events := len(c.rpc.events(c.requests[i]))
			acknowledged(first, events)
			first += events
		}
	}
	_ = stream.CloseSend()
	for err == nil && answersEach {
		err = stream.RecvMsg(reply)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		err = stream.RecvMsg(reply)
	}
	if err == nil {
		acknowledged(c.first, len(c.events))
	}
	return err
}
