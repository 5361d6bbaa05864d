package prove

import (
	"context"
	"fmt"
	"hash/maphash"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// tally counts what becomes of the events of an RPC, and has an example of each.
type tally struct {
	found, lost, repeated, changed int
	atKill, whenFull               int // of those that are lost
	sentAgain                      int // of those that are repeated

	lostOne, repeatedOne, changedOne string
}

// atKill is how long before a kill an event was acknowledged that is lost by it.
const atKill = 250 * time.Millisecond

// judge compares the log with what was sent. It returns what is wrong.
func (l *load) judge(ctx context.Context, log eventlog.Log, print func(string, ...any)) (failures []string) {
	tallies := make([]tally, len(l.rpcs))
	for record, err := range log.Read(ctx, eventlog.From{}) {
		if err != nil {
			return []string{fmt.Sprintf("the log can't be read: %v", err)}
		}
		number, ok := numberOf(record.Data)
		if !ok || number >= len(l.sent) || record.Schema != string(l.rpcs[l.sent[number].rpc].event.FullName()) {
			continue // another one, such as a consumer's
		}
		tallies[l.sent[number].rpc].find(&l.sent[number], l.named(number), &record)
	}
	for number := range l.sent {
		if event := &l.sent[number]; event.acknowledged > 0 && event.position == 0 {
			tallies[event.rpc].lose(event, l.named(number), l.kills)
		}
	}
	lost, repeated := 0, 0
	for i, r := range l.rpcs {
		t := &tallies[i]
		lost, repeated = lost+t.lost, repeated+t.repeated
		print("%s: %s events acknowledged; %s calls failed, and were made again", r.name, thousands(r.acknowledged), thousands(r.failed))
		if r.refused > 0 {
			print("%s refused %s calls, one with: %v", r.name, thousands(r.refused), r.refusal)
		}
		if t.changed > 0 && t.changed == t.found {
			print("%s stores no event with the bytes that were sent, such as %s: what was stored is not compared", r.name, t.changedOne)
		}
		for _, failure := range t.failures(r) {
			failures = append(failures, r.name+": "+failure)
		}
	}
	print("%s of %s acknowledged events lost, %s duplicated, %d kills", thousands(lost), thousands(l.acknowledged), thousands(repeated), len(l.kills))
	return failures
}

// named returns which event one is.
func (l *load) named(number int) string {
	nth := int(l.sent[number].inCall)
	return fmt.Sprintf("event %d of the call with the id %s", nth+1, idOfCall(number-nth))
}

// find notes an event of the log.
func (t *tally) find(event *sent, name string, record *eventlog.Record) {
	switch {
	case event.repeated:
	case event.position != 0:
		event.repeated = true
		t.repeated++
		if event.again {
			t.sentAgain++
		}
		t.repeatedOne = fmt.Sprintf("%s, at the positions %d and %d", name, event.position, record.Position)
	default:
		event.position = int64(record.Position)
		t.found++
		if maphash.Bytes(seed, record.Data) != event.hash {
			t.changed++
			t.changedOne = fmt.Sprintf("%s, at the position %d", name, record.Position)
		}
	}
}

// lose notes an event that is not in the log.
func (t *tally) lose(event *sent, name string, kills []time.Duration) {
	when, before := "after the last kill", atKill
	if next := int(event.kill) - 1; next < len(kills) {
		before = max(0, kills[next]-event.acknowledged)
		when = fmt.Sprintf("%s before kill %d", before.Round(100*time.Microsecond), event.kill)
	}
	switch {
	case event.full:
		t.whenFull++
		when += ", with a full disk"
	case before < atKill:
		t.atKill++
	}
	if t.lost++; t.lost == 1 {
		t.lostOne = name + ", acknowledged " + when
	}
}

// failures returns what is wrong.
func (t *tally) failures(r *rpc) (failures []string) {
	fail := func(format string, args ...any) { failures = append(failures, fmt.Sprintf(format, args...)) }
	if t.lost > 0 {
		others := t.lost - t.atKill - t.whenFull
		why := "Is one answered before its append has returned, as from a goroutine or a buffer?"
		switch {
		case t.found == 0:
			why = "None is in the log. Does the service store them, with the fields that it does not know? Put one that it stores into " + r.file
		case others > t.lost/2:
			why = "Are some left out, or stored long after they are acknowledged?"
		case t.atKill == 0:
			why = "Is the error of an append swallowed?"
		}
		fail("%s of %s acknowledged events are not in the log: %s were acknowledged less than %s before a kill, %s with a full disk, %s at other times. One is %s. %s",
			thousands(t.lost), thousands(r.acknowledged), thousands(t.atKill), atKill, thousands(t.whenFull), thousands(others), t.lostOne, why)
	}
	if t.repeated > 0 {
		fail("%s events are in the log more than once; %s of them were sent again, after a kill or an error. One is %s. Is it appended under an id that is neither its own nor that of its call?",
			thousands(t.repeated), thousands(t.sentAgain), t.repeatedOne)
	}
	if t.changed > 0 && t.changed < t.found {
		fail("%s of %s events are in the log with other bytes than were sent. One is %s. Are they changed before they are appended?",
			thousands(t.changed), thousands(t.found), t.changedOne)
	}
	if status.Code(r.refusal) == codes.AlreadyExists {
		fail("calls are refused because the log has other events with the ids of theirs: %v. Does an event change with each try, such as its time, or is it stored under the id of another one?", r.refusal)
	}
	return failures
}

// thousands returns a number with commas.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
