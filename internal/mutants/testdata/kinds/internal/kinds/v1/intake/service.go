// Package intake implements the service kinds.v1.Intake, one file per RPC.
package intake

import (
	"sync"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/kinds/golden/gen/kindspb/kindsevents"
)

// Service implements kindspb.IntakeServer. It knows what each user clicked, as far as
// that was handled.
type Service struct {
	kindspb.UnimplementedIntakeServer // answers RPCs that have no method here

	events *kindsevents.Log

	mu     sync.Mutex
	clicks map[string][]click // by user, in their order
}

// click is what is known of a click.
type click struct {
	id string
	at kindsevents.Position
}

// New returns the service. It stores events in the given log.
func New(events *kindsevents.Log) *Service {
	return &Service{events: events, clicks: map[string][]click{}}
}
