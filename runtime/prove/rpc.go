package prove

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
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
	method  protoreflect.MethodDescriptor
	reply   protoreflect.MessageType
	holder  protoreflect.FieldDescriptor   // nil if a request is an event
	id      []protoreflect.FieldDescriptor // of an event, each in the one before; none if the call has it
	request func() proto.Message           // a new one each time
	ruled   bool                           // it has ids, which keep rules
	from    string                         // what to edit to have another request

	unimplemented bool
	acknowledged  atomic.Int64 // events
	failed        errorCount   // calls, which are made again
	refused       errorCount   // calls, which are not made again
	conflicts     errorCount   // calls, because another event has an id of theirs
}

// errorCount counts errors, and keeps the last one.
type errorCount struct {
	count atomic.Int64
	last  atomic.Pointer[error]
}

func (e *errorCount) add(err error) {
	e.last.Store(&err)
	e.count.Add(1)
}

// String returns the last error.
func (e *errorCount) String() string {
	if last := e.last.Load(); last != nil {
		return (*last).Error()
	}
	return "none"
}

func newRPCs(of served) (rpcs []*rpc, failures []string) {
	for _, takes := range of.RPCs {
		r := &rpc{takes: takes}
		if err := r.find(); err != nil {
			failures = append(failures, fmt.Sprintf("%s: %v", r.name(), err))
			continue
		}
		rpcs = append(rpcs, r)
	}
	return rpcs, failures
}

// name returns its name, and where it is implemented: "receive.go:10: Receiver.receive".
func (r *rpc) name() string {
	name := r.Service + "." + r.Method
	if r.File == "" {
		return name
	}
	return fmt.Sprintf("%s:%d: %s", inModule(r.File), r.Line, name)
}

// inModule returns the path of a file below the folder of its module.
func inModule(file string) string {
	for dir := filepath.Dir(file); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			below, _ := filepath.Rel(dir, file)
			return below
		}
	}
	return file
}

// find finds its messages, and makes its first request.
func (r *rpc) find() error {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(r.Service + "." + r.Method))
	if err != nil {
		return err
	}
	r.method = found.(protoreflect.MethodDescriptor)
	kind, err := protoregistry.GlobalTypes.FindMessageByName(r.method.Input().FullName())
	if err != nil {
		return err
	}
	if r.reply, err = protoregistry.GlobalTypes.FindMessageByName(r.method.Output().FullName()); err != nil {
		return err
	}
	event := kind.Descriptor()
	if r.holder = event.Fields().ByName(protoreflect.Name(r.Holder)); r.holder != nil {
		event = r.holder.Message()
	}
	unique := ""
	for name := range strings.SplitSeq(r.ID, ".") {
		if fd := event.Fields().ByName(protoreflect.Name(name)); fd != nil {
			r.id, event, unique = append(r.id, fd), fd.Message(), string(fd.FullName())
		}
	}
	sample, err := r.sample(kind.New().Interface())
	if err != nil {
		return err
	}
	r.request = func() proto.Message { return proto.Clone(sample) }
	if r.from == "" {
		servertest.Fill(sample, unique)
		if events := r.events(sample); len(r.id) > 0 && len(events) > 0 {
			holder, id := r.idOf(events[0])
			r.ruled = id.Kind() == protoreflect.StringKind && uuid.Validate(holder.Get(id).String()) != nil
		}
	}
	if r.ruled {
		r.request = func() proto.Message {
			request := kind.New().Interface()
			servertest.Fill(request, unique)
			return request
		}
		return nil
	}
	if events := r.events(sample); len(events) == 1 && r.holder != nil && r.holder.IsList() {
		list := sample.ProtoReflect().Mutable(r.holder).List()
		for range several - 1 {
			list.Append(protoreflect.ValueOfMessage(proto.Clone(events[0].Interface()).ProtoReflect()))
		}
	}
	return nil
}

// sample reads the request that is in a file beside the one that implements the RPC, if
// there is one.
func (r *rpc) sample(request proto.Message) (proto.Message, error) {
	files, _ := filepath.Glob(filepath.Join(filepath.Dir(r.File), "testdata", "*.json"))
	for _, file := range files {
		if !sameName(strings.TrimSuffix(filepath.Base(file), ".json"), r.Method) {
			continue
		}
		r.from = inModule(file)
		text, err := os.ReadFile(file)
		if err == nil {
			err = protojson.Unmarshal(text, request)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.from, err)
		}
	}
	return request, nil
}

// sameName reports whether two names are one of a proto, spelt for Go or for a file.
func sameName(a, b string) bool {
	return strings.EqualFold(strings.ReplaceAll(a, "_", ""), strings.ReplaceAll(b, "_", ""))
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

// event returns the full name of its events.
func (r *rpc) event() string {
	if r.holder != nil {
		return string(r.holder.Message().FullName())
	}
	return string(r.method.Input().FullName())
}

// idOf returns the message in an event that has its id, and the field.
func (r *rpc) idOf(event protoreflect.Message) (holder protoreflect.Message, id protoreflect.FieldDescriptor) {
	last := len(r.id) - 1
	for _, fd := range r.id[:last] {
		event = event.Mutable(fd).Message()
	}
	return event, r.id[last]
}

// prefix begins all ids.
var prefix = eventid.New()[:24]

// idWith returns the id with a number.
func idWith(number int) string { return fmt.Sprintf("%s%012x", prefix, number) }

// setID gives an event the id with a number, if it has one and no rules for it.
func (r *rpc) setID(event protoreflect.Message, number int) {
	if len(r.id) == 0 || r.ruled {
		return
	}
	holder, id := r.idOf(event)
	switch {
	case !holder.Has(id): // then it is that of the call
	case id.Kind() == protoreflect.StringKind:
		holder.Set(id, protoreflect.ValueOfString(idWith(number)))
	case id.Kind() == protoreflect.BytesKind:
		holder.Set(id, protoreflect.ValueOfBytes([]byte(idWith(number))))
	case id.Kind() == protoreflect.Int32Kind || id.Kind() == protoreflect.Sint32Kind || id.Kind() == protoreflect.Sfixed32Kind:
		holder.Set(id, protoreflect.ValueOfInt32(int32(number)))
	case id.Kind() == protoreflect.Uint32Kind || id.Kind() == protoreflect.Fixed32Kind:
		holder.Set(id, protoreflect.ValueOfUint32(uint32(number)))
	case id.Kind() == protoreflect.Uint64Kind || id.Kind() == protoreflect.Fixed64Kind:
		holder.Set(id, protoreflect.ValueOfUint64(uint64(number)))
	default:
		holder.Set(id, protoreflect.ValueOfInt64(int64(number)))
	}
}

// mark is a field that no message has. In it each event has its number: whatever handles
// messages keeps fields that it does not know.
const mark protowire.Number = 536_870_000

func setNumber(event protoreflect.Message, number int) {
	event.SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, mark, protowire.VarintType), uint64(number)))
}

// numberOf returns the number of an event from its bytes.
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

// How many requests there are in a stream, and events in a list.
const several = 5

// call is a call with events that no other call has.
type call struct {
	rpc      *rpc
	first    int // the number of its first event
	requests []proto.Message
	events   [][]protoreflect.Message // of each request
}

var seed = maphash.MakeSeed()

// newCall makes a call, whose events have no numbers yet.
func (r *rpc) newCall() *call {
	c := &call{rpc: r}
	requests := 1
	if r.method.IsStreamingClient() {
		requests = several
	}
	for range requests {
		request := r.request()
		c.requests, c.events = append(c.requests, request), append(c.events, r.events(request))
	}
	return c
}

// size returns how many events the call has.
func (c *call) size() (size int) {
	for _, events := range c.events {
		size += len(events)
	}
	return size
}

// number gives its events the numbers from first on, and calls each with the hash of the
// bytes that should be stored.
func (c *call) number(first int, each func(hash uint64)) {
	c.first = first
	next := first
	for _, events := range c.events {
		for _, event := range events {
			c.rpc.setID(event, next)
			setNumber(event, next)
			data, _ := proto.MarshalOptions{Deterministic: true}.Marshal(event.Interface())
			each(maphash.Bytes(seed, data))
			next++
		}
	}
}

// send makes the call once. It calls acknowledged with the number of the first event and
// how many there are, for those that the server says it has stored.
func (c *call) send(ctx context.Context, conn *grpc.ClientConn, acknowledged func(first, events int)) error {
	ctx, cancel := context.WithTimeout(eventid.WithID(ctx, idWith(c.first)), callTime)
	defer cancel()
	path, reply := "/"+c.rpc.Service+"/"+c.rpc.Method, c.rpc.reply.New().Interface()
	if !c.rpc.method.IsStreamingClient() {
		err := conn.Invoke(ctx, path, c.requests[0], reply)
		if err == nil {
			acknowledged(c.first, c.size())
		}
		return err
	}
	answersEach := c.rpc.method.IsStreamingServer()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: answersEach}, path)
	if err != nil {
		return err
	}
	first := c.first
	for i, request := range c.requests {
		if err := stream.SendMsg(request); err != nil && !errors.Is(err, io.EOF) { // then the reply says what went wrong
			return err
		}
		if answersEach {
			if err := stream.RecvMsg(reply); errors.Is(err, io.EOF) {
				return errors.New("the stream ended without an answer to each request")
			} else if err != nil {
				return err
			}
			acknowledged(first, len(c.events[i]))
			first += len(c.events[i])
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for err == nil && answersEach {
		err = stream.RecvMsg(reply)
	}
	if answersEach {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	if err := stream.RecvMsg(reply); err != nil {
		return err
	}
	acknowledged(c.first, c.size())
	return nil
}
