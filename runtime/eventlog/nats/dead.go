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

// A dead letter is a message with all that its event has, under the subject
//
//	STREAM_consumers.letter.CONSUMER.POSITION.dead
//
// and with what follows in more headers. While the letter waits to be tried
// again, an empty message with .retry in place of .dead stands beside it.
//
// If a former stream had another event at the position, whose letter is there,
// POSITION ends in a hyphen and a hash of the event.
const (
	headerConsumer = "dead-consumer"
	headerRecorded = "dead-recorded"
	headerTries    = "dead-tries"
	headerReason   = "dead-reason"
	headerGaveUp   = "dead-buried"
)

// letterName is which letter of which consumer: tokens of subjects.
type letterName struct{ consumer, position string }

func (c *config) letterSubject(letter letterName, kind string) string {
	return c.consumers() + ".letter." + letter.consumer + "." + letter.position + "." + kind
}

func newLetterName(consumer string, position eventlog.Position) letterName {
	return letterName{subjectToken(consumer), strconv.FormatInt(int64(position), 10)}
}

// plain is the letter without what tells it from another at its position.
func (l letterName) plain() letterName {
	l.position, _, _ = strings.Cut(l.position, "-")
	return l
}

// bury puts a letter in the stream, or in the place of an older one.
func (l *streamLog) putDead(ctx context.Context, letter *eventlog.DeadLetter) error {
	message := l.message(&letter.Event)
	delete(message.Header, jetstream.MsgIDHeader) // a later account is no duplicate
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
	return l.do(ctx, func(ctx context.Context) error {
		which, err := l.findLetter(ctx, letter, message.Header)
		if err != nil {
			return err
		}
		message.Subject = l.letterSubject(which, "dead")
		// In this order: whoever has seen the letter may ask for another try.
		if err := l.remove(ctx, l.letterSubject(which, "retry")); err != nil {
			return err
		}
		_, err = l.publish(ctx, l.consumers(), message)
		return err
	})
}

// findLetter is where the letter of an event stands, or is to stand.
func (l *streamLog) findLetter(ctx context.Context, letter *eventlog.DeadLetter, event nats.Header) (letterName, error) {
	plain := newLetterName(letter.Consumer, letter.Position)
	hash := sha256.Sum256([]byte(messageID(&letter.Event)))
	beside := letterName{plain.consumer, plain.position + "-" + hex.EncodeToString(hash[:8])}
	there, err := l.get(ctx, l.consumers(), getRequest{Last: l.letterSubject(beside, "dead")})
	if err != nil || there != nil {
		return beside, err
	}
	there, err = l.get(ctx, l.consumers(), getRequest{Last: l.letterSubject(plain, "dead")})
	if there != nil && (there.header.Get(headerID) != event.Get(headerID) || there.header.Get(headerSource) != event.Get(headerSource)) {
		return beside, nil
	}
	return plain, err
}

// revive removes a letter, and with it what asks for another try.
func (l *streamLog) removeDead(ctx context.Context, which letterName) error {
	return l.do(ctx, func(ctx context.Context) error {
		return l.remove(ctx, l.letterSubject(which, "*"))
	})
}

// remove removes the messages of a subject.
func (l *streamLog) remove(ctx context.Context, subject string) error {
	stream, err := l.jetstream.Stream(ctx, l.consumers())
	if err != nil {
		return err
	}
	return stream.Purge(ctx, jetstream.WithPurgeSubject(subject))
}

// letters are the letters of a consumer, or of all if it is "", by consumer and
// position: of one kind, dead or retry.
func (l *streamLog) letters(ctx context.Context, consumer, kind string) (letters []letterName, err error) {
	which := letterName{"*", "*"}
	if consumer != "" {
		which.consumer = subjectToken(consumer)
	}
	var subjects map[string]uint64
	err = l.do(ctx, func(ctx context.Context) error {
		info, err := l.info(ctx, l.consumers(), jetstream.WithSubjectFilter(l.letterSubject(which, kind)))
		if err == nil {
			subjects = info.State.Subjects
		}
		return err
	})
	for subject := range subjects {
		if tokens := strings.Split(subject, "."); len(tokens) == 5 {
			letters = append(letters, letterName{tokens[2], tokens[3]})
		}
	}
	slices.SortFunc(letters, func(a, b letterName) int {
		length := cmp.Compare(len(a.plain().position), len(b.plain().position))
		return cmp.Or(strings.Compare(a.consumer, b.consumer), length, strings.Compare(a.position, b.position))
	})
	return letters, err
}

// letter reads a letter. It returns nil if there is none any more.
func (l *streamLog) letter(ctx context.Context, which letterName) (letter *eventlog.DeadLetter, err error) {
	err = l.do(ctx, func(ctx context.Context) error {
		message, err := l.get(ctx, l.consumers(), getRequest{Last: l.letterSubject(which, "dead")})
		if err == nil && message != nil {
			letter, err = parseLetter(which, message)
		}
		return err
	})
	return letter, err
}

// parseLetter is the letter in a message.
func parseLetter(which letterName, message *storedMessage) (*eventlog.DeadLetter, error) {
	field := message.header.Get
	position, positionErr := strconv.ParseUint(which.plain().position, 10, 63)
	recorded, recordedErr := time.Parse(time.RFC3339Nano, field(headerRecorded))
	buried, buriedErr := time.Parse(time.RFC3339Nano, field(headerGaveUp))
	tries, triesErr := strconv.Atoi(field(headerTries))
	consumer, consumerErr := url.PathUnescape(field(headerConsumer))
	reason, reasonErr := url.PathUnescape(field(headerReason))
	record, recordErr := parseRecord(position, recorded, message.header, message.data)
	if err := errors.Join(positionErr, recordedErr, buriedErr, triesErr, consumerErr, reasonErr, recordErr); err != nil {
		return nil, &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "a dead letter can't be read", Cause: fmt.Errorf("%s: %w", message.subject, err)}
	}
	return &eventlog.DeadLetter{Record: record, Consumer: consumer, Tries: tries, Reason: reason, GaveUp: buried.UTC()}, nil
}

// Dead implements [eventlog.Log].
func (l *streamLog) Dead(ctx context.Context, consumer string) iter.Seq2[eventlog.DeadLetter, error] {
	return func(yield func(eventlog.DeadLetter, error) bool) {
		err := l.dead(ctx, consumer, yield)
		if err != nil {
			yield(eventlog.DeadLetter{}, err)
		}
	}
}

func (l *streamLog) dead(ctx context.Context, consumer string, yield func(eventlog.DeadLetter, error) bool) error {
	if err := l.usable(ctx, false); err != nil {
		return err
	}
	retrying, err := l.letters(ctx, consumer, "retry")
	if err != nil {
		return err
	}
	all, err := l.letters(ctx, consumer, "dead")
	for _, which := range all {
		if err := l.usable(ctx, false); err != nil {
			return err
		}
		letter, err := l.letter(ctx, which)
		if err != nil {
			return err
		}
		if letter == nil { // handled meanwhile
			continue
		}
		letter.Retrying = slices.Contains(retrying, which)
		if !yield(*letter, nil) {
			return nil
		}
	}
	return err
}

// maxRetries is how many letters are tried again at a time.
const maxRetries = 100

// retries are the letters of a consumer that wait to be tried again: of those at
// one position the one that was taken before, or the first. It notes in taken,
// by the plain ones, which it has taken.
func (l *streamLog) retries(ctx context.Context, consumer string, taken map[letterName]letterName) (letters []eventlog.DeadLetter, err error) {
	waiting, err := l.letters(ctx, consumer, "retry")
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(taken, func(_, which letterName) bool { return !slices.Contains(waiting, which) })
	for _, which := range waiting {
		if taken[which.plain()] == (letterName{}) {
			taken[which.plain()] = which
		}
	}
	waiting = slices.DeleteFunc(waiting, func(which letterName) bool { return taken[which.plain()] != which })
	for _, which := range waiting[:min(len(waiting), maxRetries)] {
		letter, err := l.letter(ctx, which)
		if err != nil {
			return nil, err
		}
		if letter == nil { // it was handled before its other try was asked for
			if err := l.do(ctx, func(ctx context.Context) error { return l.remove(ctx, l.letterSubject(which, "retry")) }); err != nil {
				return nil, err
			}
			continue
		}
		letter.Retrying = true
		letters = append(letters, *letter)
	}
	return letters, nil
}

// Retry implements [eventlog.Log].
func (l *streamLog) Retry(ctx context.Context, consumer string, positions ...eventlog.Position) (count int, err error) {
	if err := l.usable(ctx, true); err != nil {
		return 0, err
	}
	if err := eventlog.ValidateConsumer(consumer); err != nil {
		return 0, err
	}
	letters, err := l.letters(ctx, consumer, "dead")
	if err != nil {
		return 0, err
	}
	if len(positions) > 0 {
		isOther := func(letter letterName) bool {
			return !slices.ContainsFunc(positions, func(p eventlog.Position) bool { return newLetterName(consumer, p) == letter.plain() })
		}
		letters = slices.DeleteFunc(letters, isOther)
	}
	for _, which := range letters {
		err := l.do(ctx, func(ctx context.Context) error {
			_, err := l.publish(ctx, l.consumers(), &nats.Msg{Subject: l.letterSubject(which, "retry")})
			return err
		})
		if err != nil {
			return count, err
		}
		count++
	}
	return count, nil
}
