package eventlog

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What an append may hold, in every engine.
const (
	// maxAttribute is the most bytes that an id, source, type, subject or
	// schema may have.
	maxAttribute = 1 << 10
	// maxAppend is the most bytes that the events of one append may have
	// together, counted as size does.
	maxAppend = 64 << 20
)

// size is what an event counts for where bytes are bounded: what it says, and
// an allowance for what it takes to hold it.
func size(event *Event) int {
	return len(event.Data) + len(event.ID) + len(event.Source) + len(event.Type) + len(event.Subject) + len(event.Schema) + 256
}

// validate says what is wrong with events, or how many bytes they count for.
func validate(events []Event) (int, error) {
	total := 0
	for i := range events {
		if detail := flaw(&events[i]); detail != "" {
			if len(events) > 1 {
				detail = fmt.Sprintf("event %d of %d: %s", i+1, len(events), detail)
			}
			return 0, &Error{Kind: ErrInvalid, Detail: detail}
		}
		total += size(&events[i])
	}
	if total > maxAppend {
		return 0, &Error{Kind: ErrInvalid, Detail: fmt.Sprintf("%d events of %d bytes together are more than the %d that one append may have; append them in parts", len(events), total, maxAppend)}
	}
	return total, nil
}

// validateConsumer says what is wrong with the name of a consumer.
func validateConsumer(name string) error {
	if name == "" {
		return &Error{Kind: ErrInvalid, Detail: "the name of the consumer is empty"}
	}
	if detail := flawOf("the name of the consumer", name); detail != "" {
		return &Error{Kind: ErrInvalid, Detail: detail}
	}
	return nil
}

// same is whether two events of one source and id are the same.
func same(a, b *Event) bool {
	return a.Type == b.Type && a.Subject == b.Subject && a.Schema == b.Schema && bytes.Equal(a.Data, b.Data)
}

// flaw says what is wrong with an event, or nothing.
func flaw(event *Event) string {
	for _, attribute := range [...]struct {
		name, value string
		required    bool
	}{
		{"id", event.ID, true},
		{"source", event.Source, false},
		{"type", event.Type, true},
		{"subject", event.Subject, false},
		{"schema", event.Schema, true},
	} {
		if attribute.value == "" && attribute.required {
			return attribute.name + " is empty"
		}
		if detail := flawOf(attribute.name, attribute.value); detail != "" {
			return detail
		}
	}
	if year := event.Time.UTC().Year(); !event.Time.IsZero() && (year < 1 || year > 9999) {
		return fmt.Sprintf("time is in the year %d, want 1 to 9999", year)
	}
	return ""
}

// flawOf says what is wrong with a text, or nothing.
func flawOf(name, text string) string {
	switch {
	case len(text) > maxAttribute:
		return fmt.Sprintf("%s has %d bytes, at most %d are allowed", name, len(text), maxAttribute)
	case strings.IndexByte(text, 0) >= 0:
		return name + " has a NUL byte"
	case !utf8.ValidString(text):
		return name + " is not valid UTF-8"
	}
	return ""
}

// parseBytes reads a number of bytes: 5000, 64KB, 500MB, 10GB, 2TB.
func parseBytes(text string) (int64, error) {
	unit := int64(1)
	for i, suffix := range []string{"KB", "MB", "GB", "TB"} {
		if number, found := strings.CutSuffix(text, suffix); found {
			text, unit = number, 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && n > (1<<62)/unit {
		err = strconv.ErrRange
	}
	return n * unit, err
}
