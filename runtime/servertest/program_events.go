//runtime:used

package servertest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
)

// programLog is the event log of a program.
const programLog = "sqlite:events.db"

// WithEvents is the part of a program that takes events: its event log, and the consumers
// of those names.
func WithEvents(consumers ...string) Part {
	return Part{
		// The limits are so low that requests can reach them.
		args: []string{"--events=" + programLog, "--max-message-bytes=65536", "--max-batch=100"},
		tests: []programTest{
			{"what it acknowledges is in its log", (*runningProgram).stores},
			{"its consumers run on that log", func(r *runningProgram, t *testing.T) { r.consumes(t, consumers) }},
			{"its health depends on the log", (*runningProgram).needsLog},
			{"events operates the log", func(r *runningProgram, t *testing.T) { r.obeys(t, "events", "stats", "--events="+programLog) }},
			{"a request that is too large is refused", (*runningProgram).refusesLarge},
			{"a batch that is too long is refused", (*runningProgram).refusesLong},
		},
		left: (*runningProgram).closed,
	}
}

// eventRPC is an RPC of a program that takes events.
type eventRPC struct {
	service server.Service
	name    string // of the RPC
	server.RPC
}

func (rpc eventRPC) method() string { return "/" + rpc.service.Desc.ServiceName + "/" + rpc.name }

// eventRPCs returns the RPCs that take events.
func (r *runningProgram) eventRPCs() (all []eventRPC) {
	for _, service := range r.server.Services() {
		for _, name := range slices.Sorted(maps.Keys(service.RPCs)) {
			if rpc := service.RPCs[name]; rpc.Sources != nil {
				all = append(all, eventRPC{service, name, rpc})
			}
		}
	}
	return all
}

// call sends a request to an RPC of any kind, and returns how the call ended.
func (r *runningProgram) call(t *testing.T, method string, request proto.Message) error {
	stream, err := r.conn.NewStream(r.context(t), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		return err
	}
	_ = stream.SendMsg(request) // what went wrong is in the reply
	_ = stream.CloseSend()
	for err == nil {
		err = stream.RecvMsg(&emptypb.Empty{}) // which any message can be read as
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// stats returns those of the log that the program was given.
func (r *runningProgram) stats(ctx context.Context) (stats eventlog.Stats, err error) {
	log, err := eventlog.OpenReader(ctx, programLog)
	if err != nil {
		return stats, err
	}
	stats, err = log.Stats(ctx)
	return stats, errors.Join(err, log.Close())
}

func (r *runningProgram) stores(t *testing.T) {
	for _, rpc := range r.eventRPCs() {
		request, from := r.request(t, rpc)
		before, err := r.stats(t.Context())
		if err != nil {
			t.Fatalf("main.go: %v: does main open the log that --events names?", err)
		}
		switch err := r.call(t, rpc.method(), request); status.Code(err) {
		case codes.OK:
			after, err := r.stats(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if after.Events <= before.Events {
				t.Errorf("main.go: %s acknowledged events that are not in the log that --events names: is the service made with that log?", rpc.method())
			}
		case codes.Unimplemented:
			t.Errorf("main.go: %s is not implemented: does main serve your service, and is the RPC written?", rpc.method())
		default:
			t.Errorf("%s refuses %s: %v: if it is right to, edit that, or set Requests or Context of the Program in main_test.go",
				rpc.method(), from, err)
		}
	}
}

// request returns a request for an RPC, with ids that no event had before, and where it
// comes from.
func (r *runningProgram) request(t *testing.T, rpc eventRPC) (request proto.Message, from string) {
	if makes := r.Requests[rpc.method()]; makes != nil {
		return makes(), "its request of Requests"
	}
	input := inputOf(rpc.service, rpc.name)
	kind, err := protoregistry.GlobalTypes.FindMessageByName(input.FullName())
	if err != nil {
		t.Fatal(err)
	}
	file := sampleOf(rpc.service, rpc.name)
	next, err := RequestsOf(kind.Zero().Interface(), file, idOf(input, rpc.Fields))
	if err != nil {
		t.Fatal(err)
	}
	return next(), cmp.Or(file, "a request with a value in every field")
}

// idOf returns the full name of the field that identifies an event of a request; "" if
// there is none.
func idOf(request protoreflect.MessageDescriptor, fields *server.Fields) (id string) {
	if fields == nil {
		return ""
	}
	in := request
	if holder := in.Fields().ByName(protoreflect.Name(fields.Holder)); holder != nil {
		in = holder.Message()
	}
	for name := range strings.SplitSeq(fields.ID, ".") {
		field := in.Fields().ByName(protoreflect.Name(name))
		if field == nil {
			return ""
		}
		in, id = field.Message(), string(field.FullName())
	}
	return id
}

// sampleOf returns the file with the sample of an RPC, which is beside the file that
// implements it; "" if there is none.
func sampleOf(service server.Service, rpc string) string {
	folder := folderOf(service.Impl, rpc)
	if folder == "" {
		return ""
	}
	samples, _ := filepath.Glob(filepath.Join(folder, "testdata", "*.json"))
	for _, name := range samples {
		if plainName(strings.TrimSuffix(filepath.Base(name), ".json")) == plainName(rpc) {
			return name
		}
	}
	return ""
}

// inputOf returns the request of an RPC.
func inputOf(service server.Service, rpc string) protoreflect.MessageDescriptor {
	of, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service.Desc.ServiceName + "." + rpc))
	if err != nil {
		panic(err) // generated code registers it
	}
	return of.(protoreflect.MethodDescriptor).Input()
}

// testFolder is where the test began.
var testFolder, _ = os.Getwd()

// folderOf returns the folder of the file that implements an RPC; "" if that is not known,
// because the method is that of something embedded or wrapped.
func folderOf(impl any, rpc string) string {
	at := position(impl, rpc)
	if at == "" {
		return ""
	}
	root := testFolder
	for root != filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		root = filepath.Dir(root)
	}
	return filepath.Join(root, filepath.FromSlash(path.Dir(at)))
}

// plainName returns the name of an RPC or of a file as they are the same.
func plainName(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// consumes waits until the consumers have handled what is stored, or fail at it: what
// they do is for their own tests.
func (r *runningProgram) consumes(t *testing.T, waiting []string) {
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		stats, err := r.stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, consumer := range stats.Consumers {
			if consumer.Holder != "" && (consumer.Lag == 0 || consumer.Failure.Tries > 0) {
				waiting = slices.DeleteFunc(waiting, func(name string) bool { return name == consumer.Name })
			}
		}
		if len(waiting) == 0 {
			return
		}
		if time.Since(begin) > consumeTimeout {
			t.Fatalf("main.go: consumer %s has not come to the end of the log that --events names within %s: is it run by server.Alongside, and with that log?",
				strings.Join(waiting, ", "), consumeTimeout)
		}
	}
}

func (r *runningProgram) needsLog(t *testing.T) {
	if needs, _ := r.server.Readiness(); len(needs) == 0 {
		t.Error(`main.go: the health is SERVING whether or not the log can be reached: pass server.Needs("event log", log.Check) to server.Run`)
	}
}

func (r *runningProgram) refusesLarge(t *testing.T) {
	large := &emptypb.Empty{}
	large.ProtoReflect().SetUnknown(wireField(protowire.MaxValidNumber, make([]byte, 64<<10)))
	for _, rpc := range r.eventRPCs() {
		if err := r.call(t, rpc.method(), large); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("main.go: %s gets more than 64 KiB with --max-message-bytes=65536, and its error is %v, want code ResourceExhausted: does main pass the config of server.Parse to server.Run as it is?", rpc.method(), err)
		}
	}
}

func (r *runningProgram) refusesLong(t *testing.T) {
	for _, rpc := range r.eventRPCs() {
		if rpc.Fields == nil {
			continue
		}
		holder := inputOf(rpc.service, rpc.name).Fields().ByName(protoreflect.Name(rpc.Fields.Holder))
		if holder == nil || !holder.IsList() {
			continue
		}
		batch := &emptypb.Empty{}
		batch.ProtoReflect().SetUnknown(slices.Repeat(wireField(holder.Number(), wireField(protowire.MaxValidNumber, make([]byte, 100))), 101))
		if err := r.call(t, rpc.method(), batch); !strings.Contains(status.Convert(err).Message(), "--max-batch") {
			t.Errorf("main.go: %s gets 101 events with --max-batch=100, and its error is %v, want one that names the flag: does main pass the config of server.Parse to server.Run as it is?", rpc.method(), err)
		}
	}
}

// wireField returns a field with bytes or a message, as messages have it.
func wireField(number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
}

// closed tests that the log is whole and that nobody has it open.
func (r *runningProgram) closed(t *testing.T) {
	if _, err := os.Stat(strings.TrimPrefix(programLog, "sqlite:") + "-wal"); err == nil {
		t.Error("main.go: the program has ended without closing its event log: call log.Close after server.Run")
	}
	if _, err := r.stats(t.Context()); err != nil {
		t.Errorf("main.go: the log of a program that has ended can't be read: %v", err)
	}
}
