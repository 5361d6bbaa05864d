package nats_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
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
	parameters := hosts(s) + "/EVENTS?durability=none&timeout=1s"
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
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
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
	var subjects []string
	for _, one := range needed {
		subjects = append(subjects, one.subject)
	}
	for name, test := range map[string]struct {
		subjects []string
		create   bool
	}{
		"and creates the streams": {subjects, true},
		"and finds the streams":   {subjects[:len(subjects)-2], false},
		"and may do some more":    {append(slices.Clone(subjects), "$JS.API.INFO", "$JS.API.CONSUMER.DELETE.EVENTS.*"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if what, err := useEverything(t, limitedUser(t, test.subjects, test.create)); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
}

// TestAMissingPermissionIsNamed checks that the error says which subject to allow.
func TestAMissingPermissionIsNamed(t *testing.T) {
	t.Parallel()
	for i, missing := range needed {
		t.Run(missing.subject, func(t *testing.T) {
			t.Parallel()
			var subjects []string
			for j, one := range needed {
				if i != j {
					subjects = append(subjects, one.subject)
				}
			}
			create := missing.without == "create"
			what, err := useEverything(t, limitedUser(t, subjects, create))
			if what != missing.without && !(create && what == "open") {
				t.Errorf("%q fails, want %q", what, missing.without)
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
	subjects := func(more ...string) (subjects []string) {
		for _, one := range needed {
			subjects = append(subjects, one.subject)
		}
		return append(subjects, more...)
	}
	const remove, purge = "$JS.API.STREAM.MSG.DELETE.EVENTS", "$JS.API.STREAM.PURGE.EVENTS"
	known := event("known")
	moved := eventlog.Record{Event: known, Position: 7, Recorded: time.Now()}
	moved.Time = moved.Recorded
	for _, allowed := range []bool{false, true} {
		var more []string
		if allowed {
			more = []string{remove, purge}
		}
		check := func(err error, subject string) {
			t.Helper()
			if allowed && err != nil || !allowed && (err == nil || !strings.Contains(err.Error(), subject)) {
				t.Errorf("allowed %v: %v", allowed, err)
			}
		}
		log := open(t, limitedUser(t, subjects(more...), false))
		_, err := log.(eventlog.EraseLog).Erase(t.Context(), known.Source, known.Subject)
		check(err, remove)
		log = open(t, limitedUser(t, subjects(more...), true))
		_, err = log.(eventlog.ImportLog).Import(t.Context(), 0, []eventlog.Record{moved})
		check(err, purge)
	}
}
