package nats

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// A dead letter is a message with the data and headers of its event, and the
// headers below. Its subject is
//
//	STREAM_consumers.letter.CONSUMER.POSITION.dead
//
// While the letter waits to be tried again, there is also an empty message whose
// subject ends in .retry in place of .dead.
//
// If the position already has a letter, of the event that a former stream had
// there, POSITION ends in a hyphen and a hash of the event.
const (
	headerConsumer = "dead-consumer"
	headerRecorded = "dead-recorded"
	headerTries    = "dead-tries"
	headerReason   = "dead-reason"
	headerGaveUp   = "dead-buried"
)

// letterName names a letter by two tokens of its subject, CONSUMER and POSITION.
type letterName struct{ consumer, position string }

// retryingLetters are the letters that wait to be tried again and were returned
// by Retries, by their names without the hash. So RemoveDead, which is given only
// a position, knows which of several letters was handled.
type retryingLetters map[letterName]letterName

// letterSubject returns the subject of a letter's message of a kind: dead, retry,
// or * for both.
func (c *config) letterSubject(name letterName, kind string) string {
	return c.consumers() + ".letter." + name.consumer + "." + name.position + "." + kind
}

// newLetterName returns the name, without a hash, of the letter at a position.
func newLetterName(consumer string, position eventlog.Position) letterName {
	return letterName{subjectToken(consumer), strconv.FormatInt(int64(position), 10)}
}

// withoutHash returns the name without the hash that distinguishes it from
// another one at its position.
func (n letterName) withoutHash() letterName {
	n.position, _, _ = strings.Cut(n.position, "-")
	return n
}

// putDead stores a letter, in place of an earlier one of that event. If the event is erased,
// it removes that one. An erasure first stores that there is one, and then removes letters;
// so one that begins after the second look here removes the letter itself.
func (l *streamLog) putDead(ctx context.Context, letter *eventlog.DeadLetter) error {
	message := l.message(&letter.Event)
	delete(message.Header, jetstream.MsgIDHeader) // a later letter of the event is not a duplicate
	for name, value := range map[string]string{
		headerConsumer: escape(letter.Consumer),
		headerRecorded: letter.Recorded.UTC().Format(time.RFC3339Nano),
		headerTries:    strconv.Itoa(letter.Tries),
		headerReason:   escape(eventlog.CutReason(letter.Reason)),
		headerGaveUp:   letter.GaveUp.UTC().Format(time.RFC3339Nano),

		jetstream.ExpectedStreamHeader: l.consumers(),
	} {
		message.Header[name] = []string{value}
	}
	if err := l.keepSchemas(ctx, []eventlog.Event{letter.Event}); err != nil { // of a letter from another log
		return err
	}
	return l.do(ctx, func(ctx context.Context) error {
		name, err := l.letterNameOf(ctx, letter, message.Header)
		if err != nil {
			return err
		}
		erased, err := l.isErased(ctx, &letter.Record)
		if err != nil {
			return err
		}
		if !erased {
			message.Subject = l.letterSubject(name, "dead")
			// This is removed first, because whoever sees the letter may ask for
			// another retry at once.
			if err := l.purge(ctx, l.letterSubject(name, "retry")); err != nil {
				return err
			}
			if _, err = l.publish(ctx, l.consumers(), message); err != nil {
				return err
			}
			if erased, err = l.isErased(ctx, &letter.Record); err != nil {
				return err
			}
		}
		if erased {
			return l.purge(ctx, l.letterSubject(name, "*"))
		}
		return nil
	})
}

// isErased reports whether an event was erased since it was read. Its position may be that of
// another event, if it is from a former stream.
func (l *streamLog) isErased(ctx context.Context, read *eventlog.Record) (bool, error) {
	message, err := l.get(ctx, l.consumers(), getRequest{Last: l.erasedSubject(uint64(read.Position))})
	if err != nil || message == nil {
		return false, err
	}
	event := l.message(&read.Event).Header
	return message.header.Get(headerID) == event.Get(headerID) && message.header.Get(headerSource) == event.Get(headerSource), nil
}

// letterNameOf returns the name that the letter of an event has, or should get:
// with a hash if the name without it belongs to another event.
func (l *streamLog) letterNameOf(ctx context.Context, letter *eventlog.DeadLetter, event nats.Header) (letterName, error) {
	name := newLetterName(letter.Consumer, letter.Position)
	hash := sha256.Sum256([]byte(messageID(&letter.Event)))
	withHash := letterName{name.consumer, name.position + "-" + hex.EncodeToString(hash[:8])}
	existing, err := l.get(ctx, l.consumers(), getRequest{Last: l.letterSubject(withHash, "dead")})
	if err != nil || existing != nil {
		return withHash, err
	}
	existing, err = l.get(ctx, l.consumers(), getRequest{Last: l.letterSubject(name, "dead")})
	if existing != nil && (existing.header.Get(headerID) != event.Get(headerID) || existing.header.Get(headerSource) != event.Get(headerSource)) {
		return withHash, nil
	}
	return name, err
}

// removeDead removes a letter, and the request for its retry.
func (l *streamLog) removeDead(ctx context.Context, name letterName) error {
	return l.do(ctx, func(ctx context.Context) error {
		return l.purge(ctx, l.letterSubject(name, "*"))
	})
}

// purge removes all messages with a subject from the stream of the consumers.
func (l *streamLog) purge(ctx context.Context, subject string) error {
	stream, err := l.jetstream.Stream(ctx, l.consumers())
	if err != nil {
		return err
	}
	return stream.Purge(ctx, jetstream.WithPurgeSubject(subject))
}

// letterNames returns the names of a consumer's letters, or of all consumers' if
// it is "", by consumer and position: those with a message of a kind, which is
// dead or retry.
func (l *streamLog) letterNames(ctx context.Context, consumer, kind string) (names []letterName, err error) {
	pattern := letterName{"*", "*"}
	if consumer != "" {
		pattern.consumer = subjectToken(consumer)
	}
	var subjects map[string]uint64
	err = l.do(ctx, func(ctx context.Context) error {
		info, err := l.info(ctx, l.consumers(), jetstream.WithSubjectFilter(l.letterSubject(pattern, kind)))
		if err == nil {
			subjects = info.State.Subjects
		}
		return err
	})
	for subject := range subjects {
		if tokens := strings.Split(subject, "."); len(tokens) == 5 {
			names = append(names, letterName{tokens[2], tokens[3]})
		}
	}
	slices.SortFunc(names, func(a, b letterName) int {
		length := cmp.Compare(len(a.withoutHash().position), len(b.withoutHash().position))
		return cmp.Or(strings.Compare(a.consumer, b.consumer), length, strings.Compare(a.position, b.position))
	})
	return names, err
}

// readLetter returns a letter, or nil if it was removed.
func (l *streamLog) readLetter(ctx context.Context, name letterName) (letter *eventlog.DeadLetter, err error) {
	err = l.do(ctx, func(ctx context.Context) error {
		message, err := l.get(ctx, l.consumers(), getRequest{Last: l.letterSubject(name, "dead")})
		if err == nil && message != nil {
			letter, err = parseLetter(name, message)
		}
		return err
	})
	if err == nil && letter != nil {
		err = l.findVersion(ctx, &letter.Record)
	}
	return letter, err
}

// parseLetter returns the letter that a message contains.
func parseLetter(name letterName, message *storedMessage) (*eventlog.DeadLetter, error) {
	field := message.header.Get
	position, positionErr := strconv.ParseUint(name.withoutHash().position, 10, 63)
	recorded, recordedErr := time.Parse(time.RFC3339Nano, field(headerRecorded))
	gaveUp, gaveUpErr := time.Parse(time.RFC3339Nano, field(headerGaveUp))
	tries, triesErr := strconv.Atoi(field(headerTries))
	consumer, consumerErr := url.PathUnescape(field(headerConsumer))
	reason, reasonErr := url.PathUnescape(field(headerReason))
	record, recordErr := parseRecord(position, recorded, message.header, message.data)
	if err := errors.Join(positionErr, recordedErr, gaveUpErr, triesErr, consumerErr, reasonErr, recordErr); err != nil {
		return nil, &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "a dead letter can't be read", Cause: fmt.Errorf("%s: %w", message.subject, err)}
	}
	return &eventlog.DeadLetter{Record: record, Consumer: consumer, Tries: tries, Reason: reason, GaveUp: gaveUp.UTC()}, nil
}

// Dead implements [eventlog.Log].
func (l *streamLog) Dead(ctx context.Context, consumer string) iter.Seq2[eventlog.DeadLetter, error] {
	return func(yield func(eventlog.DeadLetter, error) bool) {
		if err := l.yieldDead(ctx, consumer, yield); err != nil {
			yield(eventlog.DeadLetter{}, err)
		}
	}
}

// yieldDead yields the dead letters of a consumer, or of all if it is "".
func (l *streamLog) yieldDead(ctx context.Context, consumer string, yield func(eventlog.DeadLetter, error) bool) error {
	if err := l.usable(ctx, false); err != nil {
		return err
	}
	retrying, err := l.letterNames(ctx, consumer, "retry")
	if err != nil {
		return err
	}
	all, err := l.letterNames(ctx, consumer, "dead")
	for _, name := range all {
		if err := l.usable(ctx, false); err != nil {
			return err
		}
		letter, err := l.readLetter(ctx, name)
		if err != nil {
			return err
		}
		if letter == nil { // it was removed after all were listed
			continue
		}
		letter.Retrying = slices.Contains(retrying, name)
		if !yield(*letter, nil) {
			return nil
		}
	}
	return err
}

// maxRetries is how many letters [eventlog.Hold].Retries returns at most.
const maxRetries = 100

// retries returns letters of a consumer that wait to be tried again, and updates
// which they are in retrying. Of several letters at one position it returns one:
// the one in retrying, or else the first.
func (l *streamLog) retries(ctx context.Context, consumer string, retrying retryingLetters) (letters []eventlog.DeadLetter, err error) {
	waiting, err := l.letterNames(ctx, consumer, "retry")
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(retrying, func(_, name letterName) bool { return !slices.Contains(waiting, name) })
	for _, name := range waiting {
		if retrying[name.withoutHash()] == (letterName{}) {
			retrying[name.withoutHash()] = name
		}
	}
	waiting = slices.DeleteFunc(waiting, func(name letterName) bool { return retrying[name.withoutHash()] != name })
	bytes := 0
	for _, name := range waiting[:min(len(waiting), maxRetries)] {
		if bytes >= eventlog.MaxTakenBytes {
			break
		}
		letter, err := l.readLetter(ctx, name)
		if err != nil {
			return nil, err
		}
		if letter == nil { // it was handled and removed before the request for its retry was stored
			if err := l.do(ctx, func(ctx context.Context) error { return l.purge(ctx, l.letterSubject(name, "retry")) }); err != nil {
				return nil, err
			}
			continue
		}
		letter.Retrying = true
		letters = append(letters, *letter)
		bytes += letter.Size()
	}
	return letters, nil
}

// Retry implements [eventlog.Log].
func (l *streamLog) Retry(ctx context.Context, consumer string, positions ...eventlog.Position) (int, error) {
	return l.changeLetters(ctx, consumer, positions, func(ctx context.Context, name letterName) error {
		_, err := l.publish(ctx, l.consumers(), &nats.Msg{Subject: l.letterSubject(name, "retry")})
		return err
	})
}

// Discard implements [eventlog.Log].
func (l *streamLog) Discard(ctx context.Context, consumer string, positions ...eventlog.Position) (int, error) {
	return l.changeLetters(ctx, consumer, positions, func(ctx context.Context, name letterName) error {
		return l.purge(ctx, l.letterSubject(name, "*"))
	})
}

// changeLetters changes the dead letters of a consumer at positions, or all if there
// are none, and returns how many there were.
func (l *streamLog) changeLetters(ctx context.Context, consumer string, positions []eventlog.Position,
	change func(context.Context, letterName) error) (count int, err error) {
	if err := l.usable(ctx, true); err != nil {
		return 0, err
	}
	if err := eventlog.ValidateConsumer(consumer); err != nil {
		return 0, err
	}
	names, err := l.letterNames(ctx, consumer, "dead")
	if err != nil {
		return 0, err
	}
	if len(positions) > 0 {
		isOther := func(name letterName) bool {
			return !slices.ContainsFunc(positions, func(p eventlog.Position) bool { return newLetterName(consumer, p) == name.withoutHash() })
		}
		names = slices.DeleteFunc(names, isOther)
	}
	for _, name := range names {
		if err := l.do(ctx, func(ctx context.Context) error { return change(ctx, name) }); err != nil {
			return count, err
		}
		count++
	}
	return count, nil
}
