package acceptance

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAFailingHandlerIsLoggedAtOnce: as soon as a consumer of a generated server fails
// with an event, that is in the log, and further tries are not. So it is after a restart.
func TestAFailingHandlerIsLoggedAtOnce(t *testing.T) {
	program := failing(t)
	for _, batches := range []string{"", "yes"} {
		name := map[string]string{"": "one by one", "yes": "in batches"}[batches]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := "sqlite:" + filepath.Join(t.TempDir(), "events.db")
			for run := range 2 {
				server := start(t, func(ctx context.Context) *exec.Cmd {
					command := exec.CommandContext(ctx, program, "--addr", "127.0.0.1:0", "--ops-addr", "", "--events", events)
					command.Env = append(os.Environ(), "BATCHES="+batches)
					return command
				})
				if run == 0 {
					conn := dial(t, server.addr)
					for _, id := range []string{"good", "bad", "better"} {
						if err := send(conn, id); err != nil {
							t.Fatal(err)
						}
					}
				}
				server.await(t, regexp.MustCompile("msg=trying id=bad"), 3)
				server.stop()
				var order []string
				for line := range strings.Lines(server.printed()) {
					switch {
					case strings.Contains(line, "msg=trying id=bad"):
						order = append(order, "try")
					case strings.Contains(line, "the handler failed; the event is tried again") && strings.Contains(line, "id=bad") && strings.Contains(line, `error="no route"`):
						order = append(order, "event")
					case strings.Contains(line, "the handler failed; each event of the batch") && strings.Contains(line, `error="no route"`):
						order = append(order, "batch")
					}
				}
				switch got := strings.TrimSuffix(strings.Join(order, " "), " try"); got {
				case "try event try", "try event try try", "try batch try event", "try batch try event try":
				default:
					t.Errorf("run %d: it printed in this order: %s\n%s", run, got, server.printed())
				}
			}
		})
	}
}

// failing returns the demo's server with a consumer that fails with the event
// "bad", and that takes batches if BATCHES is set.
func failing(t *testing.T) string {
	t.Helper()
	module, err := filepath.Abs("../../examples/receiver")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := map[string]any{"Replace": map[string]string{filepath.Join(module, "internal/receiver/consume.go"): filepath.Join(dir, "consume.go")}}
	overlay, err := json.Marshal(files)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"overlay.json": string(overlay), "consume.go": `package receiver

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"example.com/receiver/gen/receiverpb"
	"example.com/receiver/gen/receiverpb/receiverevents"
)

const consumerName = "Receiver"

func (s *Service) Consume(ctx context.Context) error {
	if os.Getenv("BATCHES") == "" {
		return s.events.Consume(ctx, consumerName, receiverevents.OnEvent(func(_ context.Context, event receiverevents.Stored[*receiverpb.Event]) error {
			return handle(event)
		}))
	}
	return s.events.ConsumeEventBatches(ctx, consumerName, func(_ context.Context, events []receiverevents.Stored[*receiverpb.Event]) error {
		for _, event := range events {
			if err := handle(event); err != nil {
				return err
			}
		}
		return nil
	})
}

func handle(event receiverevents.Stored[*receiverpb.Event]) error {
	slog.Info("trying", "id", event.ID)
	if event.ID == "bad" {
		return errors.New("no route")
	}
	return nil
}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	built, err := build(module, "-overlay", filepath.Join(dir, "overlay.json"), "./cmd/receiver-server")
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(built, "receiver-server")
}
