package servertest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/apipb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)

type stored = eventlog.Stored[*apipb.Api]

// register is a service that notes the events that it has handled.
type register struct {
	log  eventlog.Log
	name string

	mu   sync.Mutex
	seen []string
}

func (r *register) note(event stored) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.seen, event.ID) {
		r.seen = append(r.seen, event.ID)
	}
}

func (r *register) ids() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

// appendAPI returns how a log appends an event.
func appendAPI(log eventlog.Log) func(context.Context, ...*apipb.Api) ([]eventlog.Receipt, error) {
	return func(ctx context.Context, events ...*apipb.Api) ([]eventlog.Receipt, error) {
		return eventlog.AppendMessages(ctx, log, events, func(event *apipb.Api) eventlog.Event {
			return eventlog.Event{Type: "google.protobuf.Api", Subject: event.GetName()}
		})
	}
}

// handler makes the handler of a service.
type handler func(*register) func(context.Context, stored) error

// consumer returns what the contract has to know of a service with a handler.
func consumer(effects bool, handle handler, options ...eventlog.ConsumeOption) servertest.Consumer {
	return servertest.Consumer{
		Name: "registry",
		New: func(_ testing.TB, log eventlog.Log) servertest.Consuming {
			service := &register{log: log, name: "registry"}
			consuming := servertest.Consuming{Run: func(ctx context.Context) error {
				var all []eventlog.ConsumeOption
				if handle := handle(service); handle != nil {
					all = append(all, eventlog.On(handle))
				}
				return eventlog.ConsumeMessages(ctx, service.log, service.name, append(all, options...)...)
			}}
			if effects {
				consuming.Effects = service.ids
			}
			return consuming
		},
		Types: []servertest.EventType{
			servertest.TypeOf("Api", "name", func() *apipb.Api { return servertest.Sample[*apipb.Api]() }, appendAPI),
		},
	}
}

// right notes each event, unless its context has ended.
func right(r *register) func(context.Context, stored) error {
	return func(ctx context.Context, event stored) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.note(event)
		return nil
	}
}

// Consumers that keep their promises pass, in whichever way they do it.
func TestRightConsumersPass(t *testing.T) {
	for name, c := range map[string]servertest.Consumer{
		"one that notes each":  consumer(true, right),
		"one at a time":        consumer(true, right, eventlog.Concurrency(1)),
		"without a look at it": consumer(false, right),
		"one that heeds nothing": consumer(true, func(r *register) func(context.Context, stored) error {
			return func(_ context.Context, event stored) error { r.note(event); return nil }
		}),
		"one that waits for a goroutine": consumer(true, func(r *register) func(context.Context, stored) error {
			return func(_ context.Context, event stored) error {
				var wg sync.WaitGroup
				wg.Go(func() { r.note(event) })
				wg.Wait()
				return nil
			}
		}),
		"one that begins a goroutine once": consumer(true, func(r *register) func(context.Context, stored) error {
			var once sync.Once
			return func(ctx context.Context, event stored) error {
				once.Do(func() { go func() { <-time.After(time.Minute) }() })
				return right(r)(ctx, event)
			}
		}),
		"one that refuses sparse events": consumer(true, func(r *register) func(context.Context, stored) error {
			return func(ctx context.Context, event stored) error {
				if event.Message.GetSourceContext() == nil {
					return errors.New("an Api has a source context")
				}
				return right(r)(ctx, event)
			}
		}),
		"one that appends what follows": consumer(true, func(r *register) func(context.Context, stored) error {
			return func(ctx context.Context, event stored) error {
				_, err := r.log.Append(ctx, eventlog.Event{ID: "after-" + event.ID, Type: "follows", Schema: "example.Follows"})
				if err != nil {
					return err
				}
				r.note(event)
				return nil
			}
		}),
		"one that fails at first": consumer(true, func(r *register) func(context.Context, stored) error {
			var mu sync.Mutex
			failed := map[string]bool{}
			return func(ctx context.Context, event stored) error {
				mu.Lock()
				defer mu.Unlock()
				if !failed[event.ID] {
					failed[event.ID] = true
					return eventlog.RetryAfter(errors.New("busy"), time.Millisecond)
				}
				return right(r)(ctx, event)
			}
		}),
	} {
		t.Run(name, func(t *testing.T) { c.Test(t) })
	}
}

// mistakes are consumers that don't, with the part of the contract that finds it, and
// what it says.
var mistakes = []struct {
	name, part, says string
	consumer         servertest.Consumer
}{
	{"FromNow", "stored events are handled", "consumer registry: it has skipped the Api", consumer(false, right, eventlog.FromNow())},
	{"no handler", "stored events are handled", `it has ended before it was stopped, with the error consumer "registry" has no handler`, consumer(false, func(*register) func(context.Context, stored) error { return nil })},
	{"another name", "stored events are handled", `no consumer "registry" has begun`, named("other")},
	{"always fails", "stored events are handled", "the handler has failed 4 times", consumer(false, func(*register) func(context.Context, stored) error {
		return func(context.Context, stored) error { return errors.New("no route to the registry") }
	})},
	{"gives up", "stored events are handled", "it gave up on the Api", consumer(false, func(*register) func(context.Context, stored) error {
		return func(context.Context, stored) error { return eventlog.GiveUp(errors.New("unknown name")) }
	})},
	{"panics", "stored events are handled", "the handler panicked with the Api", consumer(false, func(*register) func(context.Context, stored) error {
		return func(context.Context, stored) error { panic("boom") }
	})},
	{"waits for its context", "stored events are handled", "the handler has not returned from the Api", consumer(false, func(*register) func(context.Context, stored) error {
		return func(ctx context.Context, _ stored) error { <-ctx.Done(); return nil }
	})},
	{"feeds itself", "stored events are handled", "it handles what it appends itself", consumer(false, func(r *register) func(context.Context, stored) error {
		return func(ctx context.Context, event stored) error {
			_, err := r.log.Append(ctx, eventlog.Event{ID: event.ID + "'", Type: "again", Schema: event.Schema, Data: event.Data})
			return err
		}
	})},
	{"does nothing", "stored events are handled", "which has had no effect", consumer(true, func(*register) func(context.Context, stored) error {
		return func(context.Context, stored) error { return nil }
	})},
	{"every second", "stored events are handled", "which has had no effect", consumer(true, func(r *register) func(context.Context, stored) error {
		var mu sync.Mutex
		n := 0
		return func(ctx context.Context, event stored) error {
			mu.Lock()
			defer mu.Unlock()
			if n++; n%2 == 0 {
				return nil
			}
			return right(r)(ctx, event)
		}
	})},
	{"a goroutine", "an event is handled when its handler returns", "handlers return before the goroutines have ended", consumer(false, func(r *register) func(context.Context, stored) error {
		return func(_ context.Context, event stored) error { go r.note(event); return nil }
	})},
	{"has its effect twice", "an event that is handled again has its effect once", "had its effect twice", consumer(true, func(r *register) func(context.Context, stored) error {
		return func(ctx context.Context, event stored) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.seen = append(r.seen, event.ID)
			return ctx.Err()
		}
	})},
	{"keeps its lock", "an event that is handled again has its effect once", "the handler has not returned from the Api", consumer(true, func(r *register) func(context.Context, stored) error {
		return func(_ context.Context, event stored) error {
			r.mu.Lock()
			if slices.Contains(r.seen, event.ID) {
				return nil // with the lock
			}
			r.seen = append(r.seen, event.ID)
			r.mu.Unlock()
			return nil
		}
	})},
	{"swallows the end", "an event whose handler was interrupted is handled again", "when its context had ended", consumer(true, func(r *register) func(context.Context, stored) error {
		return func(ctx context.Context, event stored) error { _ = right(r)(ctx, event); return nil }
	})},
	{"gives up on the end", "an event whose handler was interrupted is handled again", "it gave up on the Api", consumer(false, func(r *register) func(context.Context, stored) error {
		return func(ctx context.Context, event stored) error {
			if err := right(r)(ctx, event); err != nil {
				return eventlog.GiveUp(err)
			}
			return nil
		}
	})},
	{"swallows the log", "an event is handled again after the log has failed", "is one swallowed?", consumer(false, func(r *register) func(context.Context, stored) error {
		return func(ctx context.Context, event stored) error {
			_, err := r.log.Append(ctx, eventlog.Event{ID: "after-" + event.ID, Type: "follows", Schema: "example.Follows"})
			if ctx.Err() != nil {
				return err
			}
			return nil
		}
	})},
	{"sparse", "events with few fields make no handler panic", "nil pointer dereference (consumer_test.go:", consumer(false, func(*register) func(context.Context, stored) error {
		return func(_ context.Context, event stored) error { _ = event.Message.SourceContext.FileName; return nil }
	})},
	{"begins again", "it goes on where it was", "does its name change at each start?", named("")},
	{"waits for what it can't read", "an event that can't be read holds up no other", `after 3s the handler still fails with the Api "unreadable-`, servertest.Consumer{
		Name: "registry", Types: consumer(false, right).Types,
		New: func(_ testing.TB, log eventlog.Log) servertest.Consuming {
			return servertest.Consuming{Run: func(ctx context.Context) error {
				return eventlog.Consume(ctx, log, "registry", func(_ context.Context, record eventlog.Record) error {
					if err := proto.Unmarshal(record.Data, new(apipb.Api)); err != nil {
						return eventlog.RetryAfter(err, time.Hour)
					}
					return nil
				})
			}}
		},
	}},
}

// A part that is left out is not tested, and there must be such a part.
func TestPartsOfAConsumersContractAreLeftOut(t *testing.T) {
	c := consumer(false, func(*register) func(context.Context, stored) error {
		return func(_ context.Context, event stored) error { _ = event.Message.SourceContext.FileName; return nil }
	})
	c.Skip = map[string]string{"events with few fields make no handler panic": "the RPC refuses them"}
	c.Test(t)
}

// named returns a consumer with another name. "" means the right one, whose position
// is deleted at each start.
func named(name string) servertest.Consumer {
	c := consumer(false, right)
	make := c.New
	c.New = func(t testing.TB, log eventlog.Log) servertest.Consuming {
		if name != "" {
			return servertest.Consuming{Run: func(ctx context.Context) error {
				return eventlog.Consume(ctx, log, name, func(context.Context, eventlog.Record) error { return nil })
			}}
		}
		if hold, err := log.Hold(t.Context(), "registry"); err != nil || hold.Delete(t.Context()) != nil {
			t.Fatal("the position can't be deleted")
		}
		return make(t, log)
	}
	return c
}

// TestMistakenConsumers fails: TestMistakesOfConsumersAreFound runs it in another process.
func TestMistakenConsumers(t *testing.T) {
	if os.Getenv("SERVERTEST_MISTAKES") == "" {
		t.Skip("TestMistakesOfConsumersAreFound runs it")
	}
	servertest.ShortenTimeouts(3 * time.Second)
	for _, mistake := range mistakes {
		t.Run(mistake.name, func(t *testing.T) {
			t.Parallel()
			mistake.consumer.Test(t)
		})
	}
}

// Each mistake is found by the part of the contract that is about it, with a message that
// says what is wrong.
func TestMistakesOfConsumersAreFound(t *testing.T) {
	t.Parallel()
	test := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMistakenConsumers$")
	test.Env = append(os.Environ(), "SERVERTEST_MISTAKES=1")
	output, err := test.CombinedOutput()
	if err == nil {
		t.Error("the tests pass")
	}
	for _, mistake := range mistakes {
		failed := "--- FAIL: TestMistakenConsumers/" + strings.ReplaceAll(mistake.name+"/"+mistake.part, " ", "_") + " "
		_, message, found := strings.Cut(string(output), failed)
		message, _, _ = strings.Cut(message, "--- FAIL")
		if !found || !strings.Contains(message, mistake.says) || !strings.Contains(message, "consumer registry: ") ||
			!strings.Contains(message, "leave the test out: Skip: map[string]string{\""+mistake.part+"\"") {
			t.Errorf("%s: want that the part %q fails, and says %q; it says %s", mistake.name, mistake.part, mistake.says, message)
		}
	}
	if t.Failed() {
		t.Log(string(output))
	}
}
