package operate

import (
	"context"
	"flag"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/compat"
)

// changeLine is a line about how a message type differs from what is stored.
type changeLine struct {
	Schema   string            `json:"dataschema"`
	Versions []string          `json:"schemaversions"` // those that differ so
	Message  string            `json:"message"`        // the message or enum in it that differs
	Field    string            `json:"field"`          // the path to it
	Number   int32             `json:"number"`         // of the field, or of the enum's value
	Was      string            `json:"was"`
	Is       string            `json:"is,omitempty"` // none: it is gone
	Wire     compat.Verdict    `json:"wire"`         // as the log has messages
	JSON     compat.Verdict    `json:"json"`         // as they are exported
	Why      string            `json:"why,omitempty"`
	Events   int64             `json:"events"` // how many have it
	First    eventlog.Position `json:"first,omitempty"`
	Last     eventlog.Position `json:"last,omitempty"`
}

func check(*flag.FlagSet) action {
	return func(ctx context.Context, log eventlog.Log, print func(any) error) error {
		if !keepsSchemas(log) {
			return errNoSchemas
		}
		changes, err := eventlog.SchemaChanges(ctx, log)
		if err == nil {
			err = eventlog.CountEvents(ctx, log, changes)
		}
		if err != nil {
			return err
		}
		for _, c := range changes {
			err := print(changeLine{c.Schema, c.Versions, c.Message, c.Path, c.Number, c.Was, c.Is, c.Wire, c.JSON, c.Why, c.Events, c.First, c.Last})
			if err != nil {
				return err
			}
		}
		return eventlog.Misread(changes)
	}
}
