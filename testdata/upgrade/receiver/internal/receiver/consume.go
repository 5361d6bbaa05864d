package receiver

import (
	"context"
	"errors"
	"time"

	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/gen/receiverpb/receiverevents"
)

// Consume counts the events that come from now on.
func (in *Intake) Consume(ctx context.Context) error {
	return in.store.Consume(ctx, "Receiver",
		receiverevents.OnEvent(in.count),
		receiverevents.Tries(3),
		receiverevents.Concurrency(2),
		receiverevents.Backoff(time.Millisecond, time.Second),
	)
}

func (in *Intake) count(_ context.Context, event receiverevents.Stored[*receiverpb.Event]) error {
	if event.Message.GetXwho() == "nobody" {
		return receiverevents.GiveUp(errors.New("an event of nobody"))
	}
	in.handled.Add(1)
	return nil
}
