package eventlog_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// TestReceiptsSayWhatHappened: what replies say of them is what the log has stored.
func TestReceiptsSayWhatHappened(t *testing.T) {
	log, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	store := func(id string, texts ...string) []eventlog.Receipt {
		t.Helper()
		var messages []*wrapperspb.StringValue
		for _, text := range texts {
			messages = append(messages, wrapperspb.String(text))
		}
		receipts, err := eventlog.AppendMessages(metadata.NewIncomingContext(t.Context(), metadata.Pairs("event-id", id)), log, messages, func(message *wrapperspb.StringValue) eventlog.Event {
			return eventlog.Event{Type: "t", ID: message.GetValue()}
		})
		if err != nil {
			t.Fatal(err)
		}
		return receipts
	}
	var nothing, some eventlog.Sum
	nothing.Add(store("x")...)
	if nothing != (eventlog.Sum{}) || nothing.Duplicate() {
		t.Errorf("of no events: %+v", nothing)
	}
	store("x", "a")
	receipts := store("call", "b", "a", "")
	if got, want := eventlog.IDs(receipts), []string{"b", "a", "call/3"}; !slices.Equal(got, want) {
		t.Errorf("ids %v, want %v", got, want)
	}
	if got, want := eventlog.Positions[uint64](receipts), []uint64{2, 1, 3}; !slices.Equal(got, want) {
		t.Errorf("positions %v, want %v", got, want)
	}
	if got, want := eventlog.Duplicates(receipts), []bool{false, true, false}; !slices.Equal(got, want) {
		t.Errorf("duplicates %v, want %v", got, want)
	}
	some.Add(receipts[:2]...)
	some.Add(receipts[2:]...)
	if some.Events != 3 || some.Duplicates != 1 || some.Last != receipts[2] || some.Duplicate() {
		t.Errorf("the sum is %+v", some)
	}
	var again eventlog.Sum
	if again.Add(store("call", "b", "a", "")...); !again.Duplicate() {
		t.Errorf("the sum of duplicates is %+v", again)
	}
	for record, err := range log.Read(t.Context(), eventlog.After(2)) {
		if got, failed := eventlog.RecordedTime(t.Context(), log, some.Last); err != nil || failed != nil || !got.Equal(record.Recorded) {
			t.Errorf("recorded %v (%v, %v), want %v", got, err, failed, record.Recorded)
		}
	}
	for name, receipt := range map[string]eventlog.Receipt{"none": {}, "one that is not kept": {Position: 99}, "the last position": {Position: math.MaxInt64}} {
		if got, err := eventlog.RecordedTime(t.Context(), log, receipt); err != nil || !got.IsZero() {
			t.Errorf("%s: recorded %v (%v), want the zero time", name, got, err)
		}
	}
}

func TestTimesOfReplies(t *testing.T) {
	at := time.Date(2026, 11, 22, 17, 5, 0, 123456789, time.UTC)
	before := time.Date(1969, 12, 31, 23, 59, 59, 500_000_000, time.UTC)
	for _, test := range []struct {
		time time.Time
		unit time.Duration
		want int64
	}{
		{at, time.Second, 1795367100},
		{at, time.Millisecond, 1795367100123},
		{at, time.Microsecond, 1795367100123456},
		{at, time.Nanosecond, 1795367100123456789},
		{before, time.Millisecond, -500},
		{time.Time{}, time.Second, 0},
	} {
		if got := eventlog.UnixNumber(test.time, test.unit); got != test.want {
			t.Errorf("%v in units of %v is %d, want %d", test.time, test.unit, got, test.want)
		}
	}
	if got := eventlog.Timestamp(at).AsTime(); !got.Equal(at) || eventlog.Timestamp(time.Time{}) != nil {
		t.Errorf("timestamps %v and %v, want %v and none", got, eventlog.Timestamp(time.Time{}), at)
	}
}

// answering is a call that keeps the trailer.
type answering struct {
	grpc.ServerTransportStream
	trailer metadata.MD
}

func (a *answering) SetTrailer(md metadata.MD) error {
	a.trailer = metadata.Join(a.trailer, md)
	return nil
}

// How many events of a call were stored before goes with its answer.
func TestDuplicatesGoWithTheAnswer(t *testing.T) {
	log, err := eventlog.Open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	call := &answering{}
	ctx := grpc.NewContextWithServerTransportStream(t.Context(), call)
	store := func(ids ...string) {
		t.Helper()
		next := 0
		_, err := eventlog.AppendMessages(ctx, log, slices.Repeat([]*durationpb.Duration{{}}, len(ids)), func(*durationpb.Duration) eventlog.Event {
			next++
			return eventlog.Event{ID: ids[next-1], Type: "t"}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	store("a", "b")
	if got := call.trailer.Get(eventlog.DuplicatesKey); got != nil {
		t.Errorf("without duplicates the answer has %q", got)
	}
	store("a", "b", "c")
	store("c")
	if got := call.trailer.Get(eventlog.DuplicatesKey); !slices.Equal(got, []string{"2", "1"}) {
		t.Errorf("the answer has %q, want 2 and 1", got)
	}
}
