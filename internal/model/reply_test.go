package model_test

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/protobuf/compiler/protogen"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// methods returns the RPCs of a proto in a folder, by their names.
func methods(t *testing.T, dir, proto string) map[string]*model.Method {
	t.Helper()
	request, err := compile.Request(context.Background(), []string{dir}, []string{proto})
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := protogen.Options{}.New(request)
	if err != nil {
		t.Fatal(err)
	}
	module, err := model.Build(model.Module{Path: "example.com/m"}, plugin, model.EventsAuto)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*model.Method{}
	for _, service := range module.Services() {
		for _, method := range service.Methods {
			byName[method.Name] = method
		}
	}
	return byName
}

// TestRepliesSayWhatHappened: what skeletons of all kinds set in their replies.
func TestRepliesSayWhatHappened(t *testing.T) {
	all := methods(t, "../../testdata/replies", "replies.proto")
	for name, want := range map[string][]string{
		"One": {`Message = "stored"`, "Position = uint64(receipts[0].Position)", "EventId = receipts[0].ID", "Duplicate = receipts[0].Duplicate",
			"RecordedTime = eventlog.Timestamp(recorded)"},
		"Held": {"Accepted = proto.Uint32(1)", `Message = proto.String("stored")`, "Position = proto.Int64(int64(receipts[0].Position))", "EventId = proto.String(receipts[0].ID)",
			"Duplicate = proto.Bool(receipts[0].Duplicate)", "RecordedTimeMs = proto.Int64(eventlog.UnixNumber(recorded, time.Millisecond))"},
		"Batch": {"Count = int64(len(receipts))", "Position = int64(stored.Last.Position)", "EventId = stored.Last.ID", "Duplicates = int32(stored.Duplicates)",
			"RecordedTimeUs = eventlog.UnixNumber(recorded, time.Microsecond)"},
		"BatchLists": {"Positions = eventlog.Positions[uint64](receipts)", "EventIds = eventlog.IDs(receipts)", "Duplicates = eventlog.Duplicates(receipts)"},
		"Upload": {"Count = int64(stored.Events)", "Position = int64(stored.Last.Position)", "EventId = stored.Last.ID", "Duplicates = int32(stored.Duplicates)",
			"RecordedTimeUs = eventlog.UnixNumber(recorded, time.Microsecond)"},
		"Exchange": {`Message = "stored"`, "Position = uint64(receipts[0].Position)", "EventId = receipts[0].ID", "Duplicate = receipts[0].Duplicate",
			"RecordedTime = eventlog.Timestamp(recorded)"},
		"ExchangeBatches": {"Offset = int64(stored.Last.Position)", "Key = stored.Last.ID", "Known = stored.Duplicate()", "At = uint64(eventlog.UnixNumber(recorded, time.Millisecond))"},
		"Follow":          {"Position = int64(stored.Position)", "EventId = stored.ID", "RecordedTime = eventlog.Timestamp(stored.Recorded)"},
		"FollowLists":     {"Position = proto.Int64(int64(stored.Position))"},
	} {
		var got []string
		for _, fill := range all[name].Fills() {
			got = append(got, fill.Name+" = "+fill.Value)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s sets\n%q, want\n%q", name, got, want)
		}
	}
}

// TestSkeletonsNameWhatTheyIgnore of a request.
func TestSkeletonsNameWhatTheyIgnore(t *testing.T) {
	all := methods(t, "../../testdata/replies", "replies.proto")
	for name, want := range map[string]string{
		"One":    "One stores it.",
		"Held":   "Held stores it. It ignores request.Parent and request.DryRun: write what those should do.",
		"Batch":  "Batch stores it.",
		"Follow": "Follow stores it. It ignores request.Filter and request.PageSize: write what those should do.",
	} {
		if got := all[name].Comment("stores it."); got != want {
			t.Errorf("the comment is %q, want %q", got, want)
		}
	}
}

// TestSkeletonsSayOnceWhatTheyDo: in the words of the proto, if it has any.
func TestSkeletonsSayOnceWhatTheyDo(t *testing.T) {
	held := methods(t, "../../testdata/replies", "replies.proto")["Held"]
	const ignores = "\n\nHeld ignores request.Parent and request.DryRun: write what those should do."
	for _, test := range []struct{ name, doc, want string }{
		{"Held", "Held takes a reading.\n\nIt may come twice.", "Held takes a reading.\n\nIt may come twice." + ignores},
		{"Held", "Takes a reading.", "Takes a reading." + ignores},
		{"held", "held takes a reading.", "Held takes a reading." + ignores},
	} {
		method := *held
		method.ProtoName, method.Doc = test.name, test.doc
		if got := method.Comment("stores it."); got != test.want {
			t.Errorf("of %q the comment is %q, want %q", test.doc, got, test.want)
		}
	}
}

// TestOnlyTheDemoGreets: a greeting answers nobody else's events.
func TestOnlyTheDemoGreets(t *testing.T) {
	demo := methods(t, "../../examples/receiver", "receiver.proto")["Receive"]
	if got, want := demo.Greeting(), `"Hello, " + event.GetXwho() + "!"`; got != want {
		t.Errorf("the demo answers %s, want %s", got, want)
	}
	other := methods(t, "../../testdata/kinds", "kinds.proto")["One"]
	if got, want := other.Greeting(), `"stored"`; got != want {
		t.Errorf("another service answers %s, want %s", got, want)
	}
}

// TestARequiredFieldThatASkeletonFillsIsNoObstacle: only one that it can't fill leaves
// the RPC to its owner.
func TestARequiredFieldThatASkeletonFillsIsNoObstacle(t *testing.T) {
	all := methods(t, "testdata", "required.proto")
	for name, want := range map[string]model.Kind{
		"Take": model.UnaryEvent, "TakeOther": model.Unary, "Follow": model.Tail, "FollowOther": model.ServerStream,
	} {
		if got := all[name]; got.Kind != want || (got.Event == nil) != (want == model.Unary || want == model.ServerStream) {
			t.Errorf("%s is of kind %s (%s), want %s", name, got.Kind, got.Why, want)
		}
	}
}
