package typescript

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
)

// Seen is what a client reports: what came of each of its steps.
type Seen map[string]json.RawMessage

// Check compares what a client reports with what it must have seen, in JSON. Each step
// must be in one of the two.
func Check(t *testing.T, seen Seen, want ...map[string]string) {
	t.Helper()
	expected := map[string]string{}
	for _, steps := range want {
		maps.Copy(expected, steps)
	}
	for _, step := range slices.Sorted(maps.Keys(expected)) {
		if !equal(t, seen[step], expected[step]) {
			t.Errorf("%s:\n   got %s\n  want %s", step, seen[step], expected[step])
		}
	}
	for step, got := range seen {
		if _, ok := expected[step]; !ok {
			t.Errorf("%s: nothing is expected of this step, which got %s", step, got)
		}
	}
}

func equal(t *testing.T, got json.RawMessage, want string) bool {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	return json.Unmarshal(got, &a) == nil && reflect.DeepEqual(a, b)
}

// UnaryAndTail is what comes of unaryAndTail in calls.ts: the same by every protocol.
func UnaryAndTail(protocol string) map[string]string {
	refused := func(code, message string) string { return failed(code, message, "[]", false) }
	const noKey = `no valid API key: send one in the metadata, as \"authorization: Bearer KEY\"`
	return map[string]string{
		protocol + ": publish":        fmt.Sprintf(`{"eventId": "%s-1", "duplicate": false}`, protocol),
		protocol + ": the same again": fmt.Sprintf(`{"eventId": "%s-1", "duplicate": true}`, protocol),
		protocol + ": the same id for another event": refused("AlreadyExists",
			fmt.Sprintf(`another event has this source and id: source \"web-shop\", id \"%s-1\"`, protocol)),
		protocol + ": batch":                     `{"count": 2}`,
		protocol + ": follow":                    `["first", "next 1", "next 2"]`,
		protocol + ": follow until the deadline": `"DeadlineExceeded"`,
		protocol + ": without a key":             refused("Unauthenticated", noKey),
		protocol + ": follow without a key":      refused("Unauthenticated", noKey),
		protocol + ": of another source": refused("PermissionDenied",
			`/orders.v1.OrdersService/Publish got an event of another source: this API key is for source \"web-shop\"`),
		protocol + ": not implemented": refused("Unimplemented", "Find is not implemented yet"),
		protocol + ": too many": failed("ResourceExhausted",
			"the server takes 0.01 events a second of one source (--source-rate): try again in 1m40s", `["google.rpc.RetryInfo"]`, true),
	}
}

func failed(code, message, details string, pushback bool) string {
	return fmt.Sprintf(`{"code": "%s", "message": "%s", "details": %s, "pushback": %t}`, code, message, details, pushback)
}

// Uploads is what comes of uploads in calls.ts.
func Uploads(protocol string) map[string]string {
	return map[string]string{protocol + ": client stream": `{"count": 3}`}
}

// Dialogue is what comes of dialogue in calls.ts.
func Dialogue(protocol string) map[string]string {
	return map[string]string{protocol + ": bidi": fmt.Sprintf(`["%[1]s-each/1", "%[1]s-each/2", "%[1]s-each/3"]`, protocol)}
}
