//runtime:with eventlog

package web

import (
	"net/http"
	"testing"
)

// FuzzReadEvents checks that requests with CloudEvents are read or refused, whatever they are,
// and that no batch has more events than there may be.
func FuzzReadEvents(f *testing.F) {
	for _, body := range []string{
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2026-11-28T00:00:00Z","data":{"b":1,"a":"\u00e9"}}`,
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"AAAA"}`,
		`[{"specversion":"1.0","id":"1","source":"/s","type":"t"},{"specversion":"1.0","id":"2","source":"/s","type":"t","x":1}]`,
		`[ ]`, `[[],{"a":"\"]"}]`, "\\", "",
	} {
		for _, media := range []string{structuredMode, batchMode, "application/json", "text/plain; charset=x", "\""} {
			f.Add(media, "ce-id", `"a%20\"b"`, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, media, name, value string, body []byte) {
		const most = 3
		header := http.Header{
			"Content-Type": {media}, "Ce-Specversion": {"1.0"}, "Ce-Source": {"/s"}, "Ce-Type": {"t"}, http.CanonicalHeaderKey(name): {value},
		}
		events, isBatch, err := readEvents(header, body, most)
		if err != nil {
			if err.Error() == "" {
				t.Error("it is refused without a reason")
			}
			return
		}
		if len(events) > most || !isBatch && len(events) != 1 {
			t.Errorf("there are %d events", len(events))
		}
		for _, event := range events {
			if err := event.check(); err != nil {
				t.Errorf("an event that was read is refused: %v", err)
			}
		}
	})
}
