//runtime:with eventlog

package servertest

import (
	"context"
	"iter"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Fuzz runs a fuzz test of an RPC: test gets every request that bytes of the fuzzer
// decode to, beginning with a given one and with an empty one.
func Fuzz[M proto.Message](f *testing.F, request M, test func(*testing.T, M)) {
	for _, seed := range []M{request, empty[M]()} {
		encoded, err := proto.MarshalOptions{AllowPartial: true}.Marshal(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		if request := empty[M](); proto.Unmarshal(encoded, request) == nil {
			test(t, request)
		}
	})
}

// CheckStored checks that events are in a log, just as they are. replay is the method of
// the log that reads events of their type. A nil event is in none: what acknowledges a
// request without an event has stored nothing.
func CheckStored[Event proto.Message](t testing.TB, replay func(context.Context, eventlog.From) iter.Seq2[eventlog.Stored[Event], error], events ...Event) {
	t.Helper()
	var all []Event
	for stored, err := range replay(t.Context(), eventlog.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, stored.Message)
	}
	for _, event := range events {
		if !slices.ContainsFunc(all, func(stored Event) bool { return proto.Equal(stored, event) }) {
			t.Errorf("the log does not have the event %v, which was acknowledged: it has %v", event, all)
		}
	}
}
