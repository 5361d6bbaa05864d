package project

import (
	"encoding/json"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// shown returns the service that a newcomer should look at first, and its RPC that
// takes events; nil if none does.
func shown(target *model.Module) (service *model.Service, method *model.Method) {
	for _, kind := range []model.Kind{model.UnaryEvent, model.UnaryBatch, model.ClientStreamEvent, model.BidiEvent} {
		for _, service := range target.Services() {
			for _, method := range service.Methods {
				if method.Kind == kind {
					return service, method
				}
			}
		}
	}
	return target.Services()[0], nil
}

// send returns the command by which a client sends an event to an RPC.
func send(client string, method *model.Method) string {
	if method == nil {
		return ""
	}
	event := sample(method.Event)
	command := "go run ./cmd/" + client + " " + method.Command
	switch {
	case method.Kind == model.UnaryEvent && method.Holder != nil:
		return command + " --" + method.Holder.Flag + " " + asJSON(event)
	case method.Kind != model.UnaryBatch && method.Holder != nil:
		event = map[string]any{method.Holder.JSONName: event}
	}
	return "echo " + asJSON(event) + " | " + command
}

// asJSON returns a value as a word of a shell.
func asJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil { // of strings and maps
		panic(err)
	}
	return quoted(string(text))
}

// sample returns an event as JSON: its roles that are text.
func sample(event *model.Event) map[string]any {
	values := map[string]any{}
	for _, role := range []struct {
		*model.Role
		value string
	}{{event.Source, "shop"}, {event.Type, "placed"}, {event.Subject, "order-17"}} {
		if role.Role == nil || role.Text != model.Plain {
			continue
		}
		at := values
		steps := strings.Split(role.Path(), ".")
		for _, step := range steps[:len(steps)-1] {
			if at[step] == nil {
				at[step] = map[string]any{}
			}
			at = at[step].(map[string]any)
		}
		at[steps[len(steps)-1]] = role.value
	}
	return values
}
