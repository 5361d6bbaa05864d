package nats_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// needed are the subjects that the user of a log must be allowed to publish to, as
// docs/operations.md lists them, and what does not work without one. The last two are needed
// only to create the streams.
var needed = []struct{ subject, without string }{
	{"EVENTS.*.*", "append"},
	{"EVENTS_consumers.>", "consume"},
	{"$JS.API.STREAM.INFO.EVENTS", "open"},
	{"$JS.API.STREAM.INFO.EVENTS_consumers", "open"},
	{"$JS.API.STREAM.MSG.GET.EVENTS", "append again"},
	{"$JS.API.STREAM.MSG.GET.EVENTS_consumers", "open"},
	{"$JS.API.STREAM.PURGE.EVENTS_consumers", "retry"},
	{"$JS.API.CONSUMER.CREATE.EVENTS.*", "read"},
	{"$JS.API.CONSUMER.MSG.NEXT.EVENTS.*", "read"},
	{"$JS.API.STREAM.CREATE.EVENTS", "create"},
	{"$JS.API.STREAM.CREATE.EVENTS_consumers", "create"},
}

// subjects returns the subjects that are needed, and more.
func subjects(more ...string) (subjects []string) {
	for _, one := range needed {
		subjects = append(subjects, one.subject)
	}
	return append(subjects, more...)
}

// limitedTimeout is the timeout of a limited user's log. What is allowed must succeed within
// it, on a busy machine, too; what is not is noticed after a quarter of it.
const limitedTimeout = "10s"

// limitedUser starts a server with a user who may publish to subjects alone, and returns
// the URL of a log. If it is not to be created, it exists.
func limitedUser(t *testing.T, subjects []string, create bool) string {
	t.Helper()
	s := start(t, &server.Options{Users: []*server.User{
		{Username: "admin", Password: "x"},
		{Username: "me", Password: "x", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: subjects},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
		}},
	}})
	parameters := hosts(s) + "/EVENTS?durability=none&timeout=" + limitedTimeout
	if !create {
		log := open(t, "nats://admin:x@"+parameters)
		if _, err := log.Append(t.Context(), event("known")); err != nil {
			t.Fatal(err)
		}
	}
	return "nats://me:x@" + parameters
}

// useEverything calls all that a server and its operators call, and returns what
// fails first.
func useEverything(t *testing.T, url string) (what string, err error) {
	t.Helper()
	log, err := eventlog.Open(t.Context(), url)
	if err != nil {
		return "open", err
	}
	defer func() { _ = log.Close() }()
	if err := log.Check(t.Context()); err != nil {
		return "check", err
	}
	if _, err := log.Append(t.Context(), event("a")); err != nil {
		return "append", err
	}
	if _, err := log.Append(t.Context(), event("b"), event("c")); err != nil {
		return "append", err
	}
	if _, err := log.Append(t.Context(), event("a")); err != nil {
		return "append again", err
	}
	if _, err := log.Append(t.Context(), event("b"), event("d")); err != nil {
		return "append again", err
	}
	for _, err := range log.Read(t.Context(), eventlog.From{}) {
		if err != nil {
			return "read", err
		}
	}
	hold, err := log.Hold(t.Context(), "mailer")
	if err != nil {
		return "consume", err
	}
	letter := eventlog.DeadLetter{Record: eventlog.Record{Event: event("a"), Position: 2, Recorded: time.Now()}, Reason: "no route", GaveUp: time.Now()}
	if err := errors.Join(hold.Commit(t.Context(), 1)); err != nil {
		return "consume", err
	}
	if err := hold.PutDead(t.Context(), letter); err != nil {
		return "retry", err
	}
	for _, err := range log.Dead(t.Context(), "") {
		if err != nil {
			return "dead", err
		}
	}
	if _, err := log.Retry(t.Context(), "mailer"); err != nil {
		return "retry", err
	}
	if letters, err := hold.Retries(t.Context()); err != nil || len(letters) != 1 {
		t.Errorf("%d letters, %v", len(letters), err)
	}
	if err := errors.Join(hold.RemoveDead(t.Context(), 2), hold.Release()); err != nil {
		return "retry", err
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = eventlog.Consume(ctx, log, "mailer", func(_ context.Context, record eventlog.Record) error {
		if record.ID == "d" {
			cancel()
		}
		return nil
	}, eventlog.Logger(slog.New(slog.DiscardHandler)))
	if err != nil || !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("consuming: %v, %v", err, ctx.Err())
	}
	if _, err := log.Stats(t.Context()); err != nil {
		return "stats", err
	}
	return "", log.Check(t.Context())
}

func TestAUserNeedsFewPermissions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		subjects []string
		create   bool
	}{
		"and creates the streams": {subjects(), true},
		"and finds the streams":   {subjects()[:len(needed)-2], false},
		"and may do some more":    {subjects("$JS.API.INFO", "$JS.API.CONSUMER.DELETE.EVENTS.*"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if what, err := useEverything(t, limitedUser(t, test.subjects, test.create)); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
}

// TestAMissingPermissionIsNamed checks that the error says which subject to allow. Each user
// waits for an answer that never comes, so all of them wait at the same time.
func TestAMissingPermissionIsNamed(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup
	defer group.Wait()
	for i, missing := range needed {
		create := missing.without == "create"
		url := limitedUser(t, slices.Delete(subjects(), i, i+1), create)
		group.Go(func() {
			what, err := useEverything(t, url)
			if what != missing.without && !(create && what == "open") {
				t.Errorf("without %s %q fails, want %q", missing.subject, what, missing.without)
			}
			start, _, _ := strings.Cut(missing.subject, "*")
			start = strings.TrimSuffix(start, ">")
			if err == nil || !strings.Contains(err.Error(), "allow the subject "+start) {
				t.Errorf("got %v, want that %s is to be allowed", err, missing.subject)
			}
		})
	}
}

// TestMovingAndErasingNeedPermissions checks those that only these need, and that are named
// when they are missing.
func TestMovingAndErasingNeedPermissions(t *testing.T) {
	t.Parallel()
	known := event("known")
	moved := eventlog.Record{Event: known, Position: 7, Recorded: time.Now()}
	moved.Time = moved.Recorded
	var group sync.WaitGroup
	defer group.Wait()
	for subject, test := range map[string]struct {
		create bool
		do     func(eventlog.Log) error
	}{
		"$JS.API.STREAM.MSG.DELETE.EVENTS": {false, func(log eventlog.Log) error {
			_, err := log.(eventlog.EraseLog).Erase(t.Context(), known.Source, known.Subject)
			return err
		}},
		"$JS.API.STREAM.PURGE.EVENTS": {true, func(log eventlog.Log) error {
			_, err := log.(eventlog.ImportLog).Import(t.Context(), 0, []eventlog.Record{moved})
			return err
		}},
	} {
		without, with := open(t, limitedUser(t, subjects(), test.create)), open(t, limitedUser(t, subjects(subject), test.create))
		group.Go(func() {
			if err := test.do(without); err == nil || !strings.Contains(err.Error(), subject) {
				t.Errorf("got %v, want that %s is to be allowed", err, subject)
			}
			if err := test.do(with); err != nil {
				t.Errorf("with %s: %v", subject, err)
			}
		})
	}
}
