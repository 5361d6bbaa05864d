package nats

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// A version of a schema is a message in the stream of the consumers, which is stored before
// the first event that has it. Its subject is
//
//	STREAM_consumers.schema.VERSION
//
// and its data a google.protobuf.FileDescriptorSet. It is never replaced. How far its events
// reach is in a message that is, with the subject
//
//	STREAM_consumers.until.VERSION
const (
	headerMessage = "schema-message" // the full name of the message
	headerAssumed = "schema-assumed" // "true" if it was assumed in the log that it was copied from
)

// schemaSubject returns the subject of a version's message.
func (c *config) schemaSubject(version string) string {
	return c.consumers() + ".schema." + version
}

// assumption is what is assumed of events that were stored before versions were, as the
// message with the subject STREAM_consumers.assumed stores it.
type assumption struct {
	Until    eventlog.Position `json:"until"`    // the last of those events
	Versions map[string]string `json:"versions"` // by the schemas of those events; "": no program has opened the log since that knows the message
}

// untilStride is how far the position after which no event has a version runs ahead of its
// events, so that it is stored once with so many. An event may be up to as many after it, if
// the process ended before it was stored, or another one has stored an older position.
const untilStride = 4096

// keptSchemas is what a process knows of a log's schemas.
type keptSchemas struct {
	stored  sync.Map // versions that are in the stream: an *atomic.Int64, the position after which no event has it
	missing sync.Map // versions that events have, and that are not in the stream
	assumed atomic.Pointer[assumption]
}

// keepSchemas stores those of events that are not stored.
func (l *streamLog) keepSchemas(ctx context.Context, events []eventlog.Event) error {
	for i := range events {
		version := events[i].Version
		if version == "" {
			continue
		}
		if _, stored := l.schemas.stored.Load(version); !stored {
			if err := l.keepSchema(ctx, version); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepSchema stores a version that this process knows, unless it is stored.
func (l *streamLog) keepSchema(ctx context.Context, version string) error {
	schema, found := eventlog.FindSchema(version)
	if !found {
		return &eventlog.Error{Kind: eventlog.ErrInvalid, Detail: fmt.Sprintf("version %s of a schema is not known", version)}
	}
	files, err := proto.MarshalOptions{Deterministic: true}.Marshal(schema.Files)
	if err != nil {
		return err
	}
	message := &nats.Msg{Subject: l.schemaSubject(version), Data: files, Header: nats.Header{
		headerMessage:                       {escape(schema.Name)},
		jetstream.ExpectedStreamHeader:      {l.consumers()},
		jetstream.ExpectedLastSubjSeqHeader: {"0"},
	}}
	if schema.Assumed {
		message.Header[headerAssumed] = []string{"true"}
	}
	err = l.do(ctx, func(ctx context.Context) error {
		_, err := l.publish(ctx, l.consumers(), message)
		if hasCode(err, codeWrongLast, codeWrongLastNow) { // another process has stored it, or an earlier try
			return nil
		}
		return err
	})
	if err == nil {
		l.schemas.stored.LoadOrStore(version, new(atomic.Int64))
	}
	return err
}

// extendSchemas records that the versions of events reach as far as their positions. If it
// fails, the next append does so.
func (l *streamLog) extendSchemas(ctx context.Context, entries []entry) {
	for i := range entries {
		stored, ok := l.schemas.stored.Load(entries[i].event.Version)
		if !ok {
			continue
		}
		until := stored.(*atomic.Int64)
		before, position := until.Load(), int64(entries[i].position)
		if position <= before || !until.CompareAndSwap(before, position+untilStride) {
			continue
		}
		message := &nats.Msg{Subject: l.untilSubject(entries[i].event.Version), Data: strconv.AppendInt(nil, position+untilStride, 10)}
		err := l.do(ctx, func(ctx context.Context) error {
			_, err := l.publish(ctx, l.consumers(), message)
			return err
		})
		if err != nil {
			until.CompareAndSwap(position+untilStride, before)
		}
	}
}

// untilSubject returns the subject of the message that has how far a version reaches.
func (c *config) untilSubject(version string) string {
	return c.consumers() + ".until." + version
}

// isGone reports whether all events of a version were deleted, given the first that is kept,
// and up to which position some are assumed to have it, or 0.
func (l *streamLog) isGone(ctx context.Context, version string, first, assumed eventlog.Position) (gone bool, err error) {
	err = l.do(ctx, func(ctx context.Context) error {
		message, err := l.get(ctx, l.consumers(), getRequest{Last: l.untilSubject(version)})
		if err != nil {
			return err
		}
		last := assumed
		if message != nil {
			until, err := strconv.ParseInt(string(message.data), 10, 64)
			if err != nil {
				return nil // then nobody knows
			}
			last = max(last, eventlog.Position(until)+untilStride)
		}
		gone = last > 0 && last < first
		return nil
	})
	return gone, err
}

// findVersion makes the version of an event known to this process, and sets the one that is
// assumed if the event was stored without.
func (l *streamLog) findVersion(ctx context.Context, record *eventlog.Record) error {
	if record.Version == "" {
		if assumed := l.schemas.assumed.Load(); assumed != nil && record.Position <= assumed.Until {
			record.Version = assumed.Versions[record.Schema]
		}
	}
	if _, known := eventlog.FindSchema(record.Version); known || record.Version == "" {
		return nil
	}
	if _, missing := l.schemas.missing.Load(record.Version); missing {
		record.Version = ""
		return nil
	}
	schema, _, err := l.readSchema(ctx, l.schemaSubject(record.Version))
	if err != nil {
		return err
	}
	if schema == nil {
		l.schemas.missing.Store(record.Version, true)
		record.Version = ""
		return nil
	}
	eventlog.RegisterSchema(*schema)
	return nil
}

// readSchema returns the version that the message with a subject has, and its sequence, or
// nil if there is none.
func (l *streamLog) readSchema(ctx context.Context, subject string) (schema *eventlog.Schema, sequence uint64, err error) {
	var message *storedMessage
	err = l.do(ctx, func(ctx context.Context) (err error) {
		message, err = l.get(ctx, l.consumers(), getRequest{Last: subject})
		return err
	})
	if err != nil || message == nil {
		return nil, 0, err
	}
	schema = &eventlog.Schema{Version: subject[strings.LastIndex(subject, ".")+1:], Files: &descriptorpb.FileDescriptorSet{}}
	schema.Assumed = message.header.Get(headerAssumed) == "true"
	if schema.Name, err = url.PathUnescape(message.header.Get(headerMessage)); err == nil {
		err = proto.Unmarshal(message.data, schema.Files)
	}
	if err != nil {
		return nil, 0, &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "the schema of an event can't be read", Cause: fmt.Errorf("%s: %w", subject, err)}
	}
	return schema, message.sequence, nil
}

// Schemas implements [eventlog.SchemaLog].
func (l *streamLog) Schemas(ctx context.Context) ([]eventlog.Schema, error) {
	if err := l.usable(ctx, false); err != nil {
		return nil, err
	}
	var subjects map[string]uint64
	err := l.do(ctx, func(ctx context.Context) error {
		info, err := l.info(ctx, l.consumers(), jetstream.WithSubjectFilter(l.schemaSubject("*")))
		if err == nil {
			subjects = info.State.Subjects
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	assumed := map[string]eventlog.Position{}
	if assumption := l.schemas.assumed.Load(); assumption != nil {
		for _, version := range assumption.Versions {
			assumed[version] = assumption.Until
		}
	}
	first, err := l.firstWithVersions(ctx)
	if err != nil {
		return nil, err
	}
	type stored struct {
		eventlog.Schema
		sequence uint64
	}
	var all []stored
	for subject := range subjects {
		schema, sequence, err := l.readSchema(ctx, subject)
		if err != nil {
			return nil, err
		}
		if schema == nil {
			continue
		}
		schema.Assumed = schema.Assumed || assumed[schema.Version] > 0
		gone := false
		if first > 1 {
			if gone, err = l.isGone(ctx, schema.Version, first, assumed[schema.Version]); err != nil {
				return nil, err
			}
		}
		if !gone {
			all = append(all, stored{*schema, sequence})
		}
	}
	slices.SortFunc(all, func(a, b stored) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.sequence, b.sequence))
	})
	schemas := make([]eventlog.Schema, len(all))
	for i := range all {
		schemas[i] = all[i].Schema
	}
	return schemas, nil
}

// firstWithVersions returns the first position that is kept, or 0 if there are dead letters,
// which have versions, too.
func (l *streamLog) firstWithVersions(ctx context.Context) (first eventlog.Position, err error) {
	letters, err := l.letterNames(ctx, "", "dead")
	if err != nil || len(letters) > 0 {
		return 0, err
	}
	err = l.do(ctx, func(ctx context.Context) error {
		info, err := l.info(ctx, l.events)
		if err == nil {
			first = eventlog.Position(info.State.FirstSeq)
		}
		return err
	})
	return first, err
}

// assumeSchemas reads what is assumed of events that were stored without a version. In a log
// for appending it first records that: when a log of before is opened for the first time,
// which schemas there are, and of each, when a program knows the message, its version.
func (l *streamLog) assumeSchemas(ctx context.Context) error {
	subject := l.consumers() + ".assumed"
	for {
		assumed, sequence, err := l.readAssumption(ctx, subject)
		if err != nil {
			return err
		}
		l.schemas.assumed.Store(&assumed)
		if l.mode == eventlog.ReadOnly {
			return nil
		}
		changed := sequence == 0
		if changed {
			if assumed, err = l.newAssumption(ctx); err != nil {
				return err
			}
		}
		for schema, version := range assumed.Versions {
			if kind, known := eventlog.FindMessage(schema); version == "" && known {
				version := eventlog.SchemaOf(kind.Descriptor()).Version
				if err := l.keepSchema(ctx, version); err != nil {
					return err
				}
				assumed.Versions[schema], changed = version, true
			}
		}
		if !changed {
			return nil
		}
		l.schemas.assumed.Store(&assumed)
		if replaced, err := l.writeAssumption(ctx, subject, assumed, sequence); err != nil || replaced {
			return err
		}
	}
}

// readAssumption returns the assumption, and the sequence of its message: 0 if there is none.
func (l *streamLog) readAssumption(ctx context.Context, subject string) (assumed assumption, sequence uint64, err error) {
	err = l.do(ctx, func(ctx context.Context) error {
		message, err := l.get(ctx, l.consumers(), getRequest{Last: subject})
		if err != nil || message == nil {
			return err
		}
		if err := json.Unmarshal(message.data, &assumed); err != nil {
			return &eventlog.Error{Kind: eventlog.ErrUnavailable, Detail: "what is assumed of its schemas can't be read", Cause: fmt.Errorf("%s: %w", subject, err)}
		}
		sequence = message.sequence
		return nil
	})
	return assumed, sequence, err
}

// newAssumption returns the assumption for a log that has none: of an empty one it is about
// no events.
func (l *streamLog) newAssumption(ctx context.Context) (assumption, error) {
	end, _, err := l.end(ctx)
	if err != nil || end == 0 {
		return assumption{}, err
	}
	names, err := eventlog.NamesOfSchemas(ctx, l)
	assumed := assumption{Until: end, Versions: make(map[string]string, len(names))}
	for _, name := range names {
		assumed.Versions[name] = ""
	}
	return assumed, err
}

// writeAssumption replaces the message with a sequence. ok is false if another process has
// done so.
func (l *streamLog) writeAssumption(ctx context.Context, subject string, assumed assumption, sequence uint64) (ok bool, err error) {
	data, err := json.Marshal(assumed)
	if err != nil {
		return false, err
	}
	err = l.do(ctx, func(ctx context.Context) error {
		_, err := l.publish(ctx, l.consumers(), &nats.Msg{Subject: subject, Data: data, Header: nats.Header{
			jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(sequence, 10)},
		}})
		if ok = err == nil; hasCode(err, codeWrongLast, codeWrongLastNow) {
			return nil
		}
		return err
	})
	return ok, err
}
