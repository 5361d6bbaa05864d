package prove

import (
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// verdict is what the log says of the events that were sent.
type verdict struct {
	*load
	tallies []tally // of the RPCs
}

// tally counts the events of an RPC.
type tally struct {
	found, lost, repeated, changed int

	// Of those that are lost.
	whenKilled, whenFull int
	example              string
	// Of those that are there more than once, and of those that are changed.
	sentAgain                       int
	exampleRepeated, exampleChanged string
}

func newVerdict(l *load) *verdict { return &verdict{l, make([]tally, len(l.rpcs))} }

// found notes an event of the log.
func (v *verdict) found(record *eventlog.Record) {
	number, ok := numberOf(record.Data)
	if !ok || number >= len(v.sent) || record.Schema != v.rpcs[v.sent[number].rpc].event() {
		return // another one, such as a consumer's
	}
	event := &v.sent[number]
	tally := &v.tallies[event.rpc]
	if event.position != 0 {
		if event.repeated {
			return
		}
		event.repeated = true
		tally.repeated++
		if event.again {
			tally.sentAgain++
		}
		if tally.exampleRepeated == "" {
			tally.exampleRepeated = fmt.Sprintf("%s, at the positions %d and %d", v.named(number), event.position, record.Position)
		}
		return
	}
	event.position = int64(record.Position)
	tally.found++
	if maphash.Bytes(seed, record.Data) != event.hash {
		if tally.changed++; tally.exampleChanged == "" {
			tally.exampleChanged = fmt.Sprintf("%s, at the position %d", v.named(number), record.Position)
		}
	}
}

// atKill is how soon before a kill an event was acknowledged that is lost by it.
const atKill = 250 * time.Millisecond

// failures returns what is wrong, once all events of the log were noted.
func (v *verdict) failures() (failures []string) {
	for number := range v.sent {
		event := &v.sent[number]
		if event.acknowledged == 0 || event.position != 0 {
			continue
		}
		tally := &v.tallies[event.rpc]
		when := "after the last kill"
		wasKilled := int(event.kill) <= len(v.killed)
		if wasKilled {
			before := max(0, v.killed[event.kill-1]-event.acknowledged)
			when = fmt.Sprintf("%s before kill %d", before.Round(100*time.Microsecond), event.kill)
			wasKilled = before < atKill
		}
		switch {
		case event.full:
			tally.whenFull++
			when += ", while the disk was full"
		case wasKilled:
			tally.whenKilled++
		}
		if tally.lost++; tally.lost == 1 {
			tally.example = fmt.Sprintf("%s, acknowledged %s", v.named(number), when)
		}
	}
	for i, rpc := range v.rpcs {
		failures = append(failures, v.tallies[i].failures(rpc)...)
	}
	return failures
}

func (t *tally) failures(r *rpc) (failures []string) {
	fail := func(format string, args ...any) {
		failures = append(failures, r.name()+": "+fmt.Sprintf(format, args...))
	}
	acknowledged := int(r.acknowledged.Load())
	if t.lost > 0 {
		fail("%s of %s acknowledged events are not in the log: %s. One is %s. %s",
			thousands(t.lost), thousands(acknowledged), t.lostWhen(), t.example, t.whyLost(r))
	}
	if t.repeated > 0 {
		fail("%s events are in the log more than once; %s of them were sent again under the same id after a kill or an error. One is %s. Is it appended under another id than its own or that of its call?",
			thousands(t.repeated), thousands(t.sentAgain), t.exampleRepeated)
	}
	if t.changed > 0 && t.changed < t.found {
		fail("%s of %s events are in the log with other bytes than those that were sent. One is %s. Are events changed before they are appended, or later, while others use them?",
			thousands(t.changed), thousands(t.found), t.exampleChanged)
	}
	if n := r.conflicts.count.Load(); n > 0 {
		fail("%s calls are refused as if other events had the ids of theirs: %s. Is what is stored the same each time when an event is sent again?",
			thousands(int(n)), &r.conflicts)
	}
	if !r.unimplemented && t.found > 0 && acknowledged <= r.newCall().size() {
		fail("no call is acknowledged under load: it failed %d times, the last time with %s; it was refused %d times, the last time with %s",
			r.failed.count.Load(), &r.failed, r.refused.count.Load(), &r.refused)
	}
	return failures
}

// lostWhen returns when the events that are lost were acknowledged.
func (t *tally) lostWhen() string {
	var parts []string
	add := func(count int, when string) {
		if count > 0 {
			parts = append(parts, fmt.Sprintf("%s were acknowledged %s", thousands(count), when))
		}
	}
	add(t.whenKilled, fmt.Sprintf("less than %s before a kill", atKill))
	add(t.whenFull, "while the disk was full")
	add(t.lost-t.whenKilled-t.whenFull, "at other times")
	return strings.Join(parts, ", ")
}

// whyLost returns what may be the reason.
func (t *tally) whyLost(r *rpc) string {
	other := t.lost - t.whenKilled - t.whenFull
	switch {
	case t.found == 0:
		request := r.from
		if request == "" {
			request = "testdata beside it, as " + strings.ToLower(r.Method) + ".json"
		}
		return "None of its events is in the log. If the service leaves such events out, put a request that it stores into " + request +
			"; if it makes events of its own of them, it must keep fields that it does not know, by which they are found"
	case other > t.lost/2:
		return "Are some events left out, or stored so long after they are acknowledged?"
	case t.whenKilled == 0:
		return "Is the error of an append swallowed?"
	default:
		return "Is an event answered before its append has returned, as from a goroutine or a buffer?"
	}
}

// named returns which event one is.
func (v *verdict) named(number int) string {
	event := &v.sent[number]
	r := v.rpcs[event.rpc]
	if len(r.id) > 0 && !r.ruled {
		return "the event with the id " + idWith(number)
	}
	return fmt.Sprintf("event %d of the call with the id %s", event.inCall+1, idWith(number-int(event.inCall)))
}

// print prints the figures.
func (v *verdict) print(s settings) {
	var lost, repeated int
	for i, rpc := range v.rpcs {
		t := &v.tallies[i]
		lost, repeated = lost+t.lost, repeated+t.repeated
		if t.changed > 0 && t.changed == t.found {
			s.print("%s stores no event with the bytes that were sent, such as %s: only that they are stored once was checked", rpc.name(), t.exampleChanged)
		}
		if n := rpc.refused.count.Load(); n > 0 {
			s.print("%s refused %s calls, the last one with %s", rpc.name(), thousands(int(n)), &rpc.refused)
		}
		if !rpc.unimplemented {
			s.print("%s: %s events acknowledged; %s calls failed, and were made again", rpc.name(), thousands(int(rpc.acknowledged.Load())), thousands(int(rpc.failed.count.Load())))
		}
	}
	s.print("%s of %s acknowledged events lost, %s duplicated, %d kills", thousands(lost), thousands(v.count), thousands(repeated), len(v.killed))
}
