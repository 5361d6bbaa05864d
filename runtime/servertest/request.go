package servertest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Request returns the message in a file of JSON, such as "testdata/receive.json". If
// there is no such file, it returns a [Sample]. The fields with the full names in unique
// get another value each time, unless the file leaves them out.
func Request[M proto.Message](t testing.TB, file string, unique ...string) M {
	t.Helper()
	return Requests[M](t, file, unique...)()
}

// Requests returns a function that does what [Request] does and reads the file once. It
// may be called from many goroutines.
func Requests[M proto.Message](t testing.TB, file string, unique ...string) func() M {
	t.Helper()
	next, err := RequestsOf(empty[M](), file, unique...)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return func() M { return next().(M) }
}

// RequestsOf does what [Requests] does, for messages of the type of none, which is empty.
func RequestsOf(none proto.Message, file string, unique ...string) (next func() proto.Message, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return func() proto.Message {
			request := none.ProtoReflect().New().Interface()
			fill(request, unique...)
			return request
		}, nil
	}
	request := none.ProtoReflect().New().Interface()
	if err == nil {
		err = protojson.Unmarshal(text, request)
	}
	if err != nil {
		return nil, fmt.Errorf("%s can't be read as %s: %s. Edit the file, or delete it to send a request with a value in every field",
			file, request.ProtoReflect().Descriptor().FullName(), strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0"))
	}
	return func() proto.Message {
		next := proto.Clone(request)
		renew(next.ProtoReflect(), unique)
		return next
	}, nil
}

// renew is renewIDs in a module with events.
var renew = func(protoreflect.Message, []string) {}

// Refused reports whether a call was refused. The test fails if the caller can't know
// from the code of the error what to do.
func Refused(t testing.TB, err error) bool {
	t.Helper()
	switch code := status.Code(err); code {
	case codes.Unknown, codes.Internal, codes.DeadlineExceeded, codes.Unavailable:
		t.Errorf("error is %v, want one with a code that shows the caller what to do", err)
	}
	return err != nil
}
