//runtime:with operate.Backup

package operate

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"hash"
	"iter"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

var verifyTask = task{
	name: "verify", names: "[A [B]]", least: 0, most: 2,
	about: "Counts and hashes all events of a log, and checks the file that it is in; of two logs, each a file or a URL, it reports whether they have the same events.",
	define: func(flags *flag.FlagSet) func(context.Context, taskCall) error {
		until := flags.Int64("until", 0, "only the events up to this `position`: for a log that has got more since")
		return func(ctx context.Context, call taskCall) error {
			return verify(ctx, call, eventlog.Position(*until))
		}
	},
}

func verify(ctx context.Context, call taskCall, until eventlog.Position) error {
	urls := []string{call.url}
	if len(call.names) > 0 {
		urls = nil
	}
	for _, name := range call.names {
		url, err := fileURL(name)
		if err != nil {
			return err
		}
		urls = append(urls, url)
	}
	var logs []eventlog.Log
	defer func() {
		for _, log := range logs {
			_ = log.Close()
		}
	}()
	for _, url := range urls {
		log, err := eventlog.OpenReader(ctx, url)
		if err != nil {
			return err
		}
		logs = append(logs, log)
		if file, ok := log.(eventlog.FileLog); ok {
			if err := file.Verify(ctx); err != nil {
				return err
			}
		}
	}
	var sums []sum
	for i, log := range logs {
		s, err := sumOf(ctx, log, until)
		if err != nil {
			return err
		}
		line := sumLine{Events: s.events, First: s.first, Last: s.last, SHA256: s.text()}
		if len(call.names) > 0 {
			line.Log = publicName(call.names[i])
		}
		if err := call.print(line); err != nil {
			return err
		}
		sums = append(sums, s)
	}
	if len(sums) < 2 {
		return nil
	}
	if sums[0].text() != sums[1].text() {
		return errors.Join(differ(ctx, logs[0], logs[1], until), errNotEqual)
	}
	return call.print(struct {
		Equal bool `json:"equal"`
	}{true})
}

var errNotEqual = errors.New("the logs are not equal")

// sumLine is the sum of a log as it is printed.
type sumLine struct {
	Log    string            `json:"log,omitempty"`
	Events int64             `json:"events"`
	First  eventlog.Position `json:"first"`
	Last   eventlog.Position `json:"last"`
	SHA256 string            `json:"sha256"`
}

// sum is a hash over events in their order: over all that a log keeps of them but their
// positions, which may be others in another log.
type sum struct {
	hash        hash.Hash
	buffer      []byte
	events      int64
	first, last eventlog.Position
}

func newSum() sum { return sum{hash: sha256.New()} }

func (s *sum) add(record *eventlog.Record) {
	if s.events == 0 {
		s.first = record.Position
	}
	s.events, s.last = s.events+1, record.Position
	b := s.buffer[:0]
	for _, text := range [...]string{record.Source, record.ID, record.Type, record.Subject, record.Schema, record.Version, record.Traceparent} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	for _, t := range [...]time.Time{record.Time, record.Recorded} {
		b = binary.AppendVarint(binary.AppendVarint(b, t.Unix()), int64(t.Nanosecond()))
	}
	b = append(binary.AppendUvarint(b, uint64(len(record.Data))), record.Data...)
	b = strconv.AppendBool(b, record.Erased)
	_, _ = s.hash.Write(b)
	s.buffer = b
}

func (s *sum) text() string { return hex.EncodeToString(s.hash.Sum(nil)) }

// sumOf returns the sum of the events of a log up to a position, of all if that is 0.
func sumOf(ctx context.Context, log eventlog.Log, until eventlog.Position) (sum, error) {
	s := newSum()
	progress := newProgress(os.Stderr, "read", 0)
	defer progress.end()
	for record, err := range watched(ctx, log, eventlog.From{}, progress) {
		if err != nil {
			return s, err
		}
		if until > 0 && record.Position > until {
			break
		}
		s.add(&record)
	}
	return s, nil
}

// differ returns an error that says where two logs differ first.
func differ(ctx context.Context, a, b eventlog.Log, until eventlog.Position) error {
	nextA, stopA := iter.Pull2(a.Read(ctx, eventlog.From{}))
	defer stopA()
	nextB, stopB := iter.Pull2(b.Read(ctx, eventlog.From{}))
	defer stopB()
	for {
		recordA, errA, okA := nextA()
		recordB, errB, okB := nextB()
		if err := errors.Join(errA, errB); err != nil {
			return err
		}
		okA, okB = okA && (until == 0 || recordA.Position <= until), okB && (until == 0 || recordB.Position <= until)
		switch {
		case !okA && !okB:
			return nil
		case !okB:
			return fmt.Errorf("only the first has the event at position %d, and what comes after it", recordA.Position)
		case !okA:
			return fmt.Errorf("only the second has the event at position %d, and what comes after it", recordB.Position)
		case !equal(&recordA, &recordB):
			return fmt.Errorf("they differ first in the events at position %d of the first (source %q, id %q) and %d of the second (source %q, id %q)",
				recordA.Position, recordA.Source, recordA.ID, recordB.Position, recordB.Source, recordB.ID)
		}
	}
}

// equal reports whether two logs keep the same of an event, except of its position.
func equal(a, b *eventlog.Record) bool {
	sumA, sumB := newSum(), newSum()
	sumA.add(a)
	sumB.add(b)
	return sumA.text() == sumB.text()
}

// publicName returns the name of a log without what may be secret in a URL.
func publicName(name string) string {
	scheme, rest, found := strings.Cut(name, "://")
	if !found {
		return name
	}
	rest, _, _ = strings.Cut(rest, "?")
	return scheme + "://" + rest[strings.LastIndex(rest, "@")+1:]
}
