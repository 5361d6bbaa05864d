package servertest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/apipb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)

// shadow has the flags of TestShadowed.
var shadow = servertest.ShadowFlags()

// version is that of every nth event.
func version(n int) string {
	switch {
	case n%1000 == 7:
		return "fails"
	case n%1000 == 77:
		return "panics"
	case n%10_000 == 777:
		return "is slow"
	case n%1000 == 8:
		return "was dead"
	case n%1000 == 88:
		return "was mended"
	}
	return "is fine"
}

// storeAPIs stores events in a new file, and has a consumer handle all but the last ten.
func storeAPIs(t *testing.T, events int) (url string) {
	t.Helper()
	url = "sqlite:" + filepath.Join(t.TempDir(), "events.db")
	log, err := eventlog.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var batch []*apipb.Api
	for n := 1; n <= events; n++ {
		batch = append(batch, &apipb.Api{Name: fmt.Sprintf("api-%d", n%100), Version: version(n)})
		if len(batch) == 1000 || n == events {
			if _, err := appendAPI(log)(t.Context(), batch...); err != nil {
				t.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	hold, err := log.Hold(t.Context(), "registry")
	if err != nil {
		t.Fatal(err)
	}
	for record, err := range log.Read(t.Context(), eventlog.From{}) {
		if err != nil {
			t.Fatal(err)
		}
		if v := version(int(record.Position)); v == "was dead" || v == "was mended" {
			if err := hold.PutDead(t.Context(), eventlog.DeadLetter{Record: record, Tries: 10, Reason: "no such api", GaveUp: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(hold.Commit(t.Context(), eventlog.Position(events-10)), hold.Release()); err != nil {
		t.Fatal(err)
	}
	return url
}

// regressed handles events as a consumer does whose last change was a mistake.
func regressed(r *register) func(context.Context, stored) error {
	return func(ctx context.Context, event stored) error {
		switch event.Message.GetVersion() {
		case "fails":
			return fmt.Errorf("no price for %s in year %d", event.ID, event.Position)
		case "panics":
			return errors.New(event.Message.GetSourceContext().FileName)
		case "is slow":
			time.Sleep(1100 * time.Millisecond)
		case "was dead":
			return errors.New("no such api")
		}
		return right(r)(ctx, event)
	}
}

// TestShadowed fails: TestShadowFindsRegressions runs it in another process.
func TestShadowed(t *testing.T) {
	shadow.Context = func(ctx context.Context) context.Context {
		return metadata.AppendToOutgoingContext(ctx, "tenant", "a")
	}
	shadow.Test(t, consumer(false, regressed), servertest.CallStored("Report", func(event *apipb.Api) *apipb.Api { return event },
		func(_ testing.TB, log eventlog.Log) func(context.Context, *apipb.Api) error {
			return func(ctx context.Context, event *apipb.Api) error {
				if tenants := metadata.ValueFromIncomingContext(ctx, "tenant"); !slices.Equal(tenants, []string{"a"}) {
					return fmt.Errorf("the tenants are %q", tenants)
				}
				if event.GetVersion() == "fails" {
					return errors.New("the version is not known")
				}
				_, err := appendAPI(log)(ctx, event)
				return err
			}
		}))
}

// A file with some events, of which nothing is known but what is in it, is read as well.
func TestShadowReadsAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sample.ndjson")
	line := `{"id":"%s","type":"t","dataschema":"google.protobuf.Api","data":{"version":"%s"}}` + "\n"
	if err := os.WriteFile(file, []byte(fmt.Sprintf(line, "a", "is fine")+fmt.Sprintf(line, "b", "fails")), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestShadowed$/consumer", "-events", "file:"+file).CombinedOutput()
	if want := "it fails: no price for b in year N (1 event: 1 not handled before)"; err == nil || !strings.Contains(string(output), want) {
		t.Errorf("it does not print %s, but (%v)\n%s", want, err, output)
	}
}

// A run that tries nothing fails.
func TestShadowOfNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sample.ndjson")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestShadowed$", "-events", "file:"+file).CombinedOutput()
	for _, want := range []string{"rpc Report took no events", "registry took no events"} {
		if err == nil || !strings.Contains(string(output), want) {
			t.Errorf("it does not print %s, but (%v)\n%s", want, err, output)
		}
	}
}

// Shadow finds what a consumer and an RPC do wrong with stored events, in which it changes
// nothing. SHADOW_EVENTS is how many there are.
func TestShadowFindsRegressions(t *testing.T) {
	events := 2000
	if n, err := strconv.Atoi(os.Getenv("SHADOW_EVENTS")); err == nil {
		events = n
	}
	url := storeAPIs(t, events)
	before, err := os.ReadFile(strings.TrimPrefix(url, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	test := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestShadowed$", "-events", url, "-sample", "0", "-since", "1h")
	output, err := test.CombinedOutput()
	t.Logf("%d events took %.1f s:\n%s", events, time.Since(begin).Seconds(), output)
	if err == nil {
		t.Error("the test passes")
	}
	n, slow := events/1000, (events+10_000-777)/10_000
	for _, want := range []string{
		`--- FAIL: TestShadowed/Report`,
		fmt.Sprintf(`rpc Report took %d events stored from .* to .* in .* s: %d of them are not handled as they should be, for 1 reason`, events, n),
		fmt.Sprintf(`it fails: the version is not known \(%d events: %d fine before\)`, n, n),
		fmt.Sprintf(`registry took %d events stored .*: %d of them are not handled as they should be, for 4 reasons`, events, 3*n+slow),
		fmt.Sprintf(`%d events that were dead letters before are handled now`, n),
		fmt.Sprintf(`it fails: no price for ID in year N \(%d events: %d fine before\)\n +position 7, id \S+, source "", subject "api-7", type google.protobuf.Api \(fine before\): no price for \S+ in year 7`, n, n),
		fmt.Sprintf(`it panics: runtime error: invalid memory address or nil pointer dereference \(shadow_test.go:\d+\) \(%d events: %d fine before\)`, n, n),
		fmt.Sprintf(`it takes longer than 1s \(%d events?: %d fine before\)\n +position 777, `, slow, slow),
		fmt.Sprintf(`it fails: no such api \(%d events: %d dead before\)`, n, n),
	} {
		if !regexp.MustCompile(want).Match(output) {
			t.Errorf("it does not print %s", want)
		}
	}
	after, err := os.ReadFile(strings.TrimPrefix(url, "sqlite:"))
	if err != nil || string(after) != string(before) {
		t.Errorf("the log was changed (%v)", err)
	}
}
