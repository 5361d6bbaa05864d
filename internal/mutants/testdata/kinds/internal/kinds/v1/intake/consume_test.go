package intake

import (
	"slices"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsevents"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindstest"
)

// TestConsumer runs the tests that every consumer must pass. They see which clicks were
// handled.
func TestConsumer(t *testing.T) {
	kindstest.IntakeConsumer[*Service]{
		Name:    consumerName,
		New:     newService,
		Consume: (*Service).Consume,
		Effects: (*Service).handled,
	}.Test(t)
}

// TestConsume stores clicks of two users, and checks that each user has theirs in order.
func TestConsume(t *testing.T) {
	log := servertest.Log(t)
	events := kindsevents.New(log)
	for _, user := range []string{"ada", "bob", "ada"} {
		if _, err := events.AppendClickEvent(t.Context(), &kindspb.ClickEvent{Type: "click", UserId: user}); err != nil {
			t.Fatal(err)
		}
	}
	service := newService(t, events)
	servertest.Consume(t, log, consumerName, service.Consume)
	for user, want := range map[string][]kindsevents.Position{"ada": {1, 3}, "bob": {2}} {
		if got := service.positions(user); !slices.Equal(got, want) {
			t.Errorf("the clicks of %s are those at %v, want %v", user, got, want)
		}
	}
}
