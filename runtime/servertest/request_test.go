package servertest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/typepb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)

// recorder is a test that notes how it fails.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, values ...any) { r.failure = fmt.Sprintf(format, values...) }

func (r *recorder) Fatalf(format string, values ...any) {
	r.Errorf(format, values...)
	panic(r)
}

// failureOf returns how a test fails; "" if it does not.
func failureOf(t *testing.T, test func(testing.TB)) string {
	r := &recorder{TB: t}
	func() {
		defer func() {
			if failed := recover(); failed != nil && failed != any(r) {
				panic(failed)
			}
		}()
		test(r)
	}()
	return r.failure
}

func write(t *testing.T, text string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "request.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestARequestComesFromItsFile(t *testing.T) {
	got := servertest.Request[*typepb.Type](t, write(t, `{"name": "mine", "oneofs": ["a"]}`))
	if want := (&typepb.Type{Name: "mine", Oneofs: []string{"a"}}); !proto.Equal(got, want) {
		t.Errorf("the request is %v, want %v", got, want)
	}
	none := filepath.Join(t.TempDir(), "none.json")
	if got, want := servertest.Request[*typepb.Type](t, none), servertest.Sample[*typepb.Type](); !proto.Equal(got, want) {
		t.Errorf("without a file the request is %v, want %v", got, want)
	}
	if got := servertest.LeastRequest[*typepb.Type](t, none); !proto.Equal(got, &typepb.Type{}) {
		t.Errorf("without a file the least request is %v, want an empty one", got)
	}
	if got := servertest.LeastRequest[*typepb.Type](t, write(t, `{"name": "mine"}`)); got.GetName() != "mine" {
		t.Errorf("the least request is %v, want the one in the file", got)
	}
}

// TestAnIDIsRenewedWhereverItIs: in lists and maps, too, and not where its owner has left
// it out.
func TestAnIDIsRenewedWhereverItIs(t *testing.T) {
	const id = "google.protobuf.Field.name"
	next := servertest.Requests[*typepb.Type](t, write(t, `{"name": "type", "fields": [{"name": "x", "number": 1}, {"name": "x"}, {"number": 3}]}`), id)
	seen := map[string]bool{"x": true}
	var mu sync.Mutex
	var calls sync.WaitGroup
	for range 3 {
		calls.Go(func() {
			got := next()
			mu.Lock()
			defer mu.Unlock()
			if got.GetName() != "type" || got.GetFields()[0].GetNumber() != 1 || got.GetFields()[2].GetName() != "" {
				t.Errorf("the request is %v", got)
			}
			for _, field := range got.GetFields()[:2] {
				if seen[field.GetName()] {
					t.Errorf("the id %q was there before", field.GetName())
				}
				seen[field.GetName()] = true
			}
		})
	}
	calls.Wait()
}

func TestAWrongFileSaysWhereAndWhatToDo(t *testing.T) {
	file := write(t, "{\n  \"nam\": \"mine\"\n}")
	got := failureOf(t, func(t testing.TB) { servertest.Request[*typepb.Type](t, file) })
	want := file + ` can't be read as google.protobuf.Type: (line 2:3): unknown field "nam". Edit the file, or delete it`
	if !strings.HasPrefix(got, want) {
		t.Errorf("the failure is %q, want %q", got, want)
	}
}

func TestARefusalHasACodeForItsCaller(t *testing.T) {
	for err, refused := range map[error]bool{
		nil: false, status.Error(codes.InvalidArgument, ""): true, status.Error(codes.NotFound, ""): true, status.Error(codes.Unimplemented, ""): true,
	} {
		if got := servertest.Refused(t, err); got != refused {
			t.Errorf("%v is a refusal: %t, want %t", err, got, refused)
		}
	}
	for _, code := range []codes.Code{codes.Unknown, codes.Internal, codes.DeadlineExceeded, codes.Unavailable} {
		if got := failureOf(t, func(t testing.TB) { servertest.Refused(t, status.Error(code, "oops")) }); !strings.Contains(got, "oops") {
			t.Errorf("a test whose call ends with %s fails with %q", code, got)
		}
	}
}
