package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventid"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite" // the engine of the spool
)

// spool has the events that are not decided: a log whose records are deleted when all of
// their events are.
type spool struct {
	log   eventlog.DeleteLog // nil: in memory
	hold  eventlog.Hold
	spare reserve
	found struct { // when it was opened
		events, bytes int64
		oldest        time.Time
	}

	// These are read and written with the publisher's mutex locked.
	committing *commit           // nil if none is
	last       eventlog.Position // of the last record
	loaded     eventlog.Position // of the last record whose events are in memory, or were
	behind     bool              // whether there are others, which are read from the log
	window     int64             // bytes of events in memory
	records    []*record         // whose events are in memory, in their order
	done       int               // how many of these are decided; they are removed once they are first, or many
	removable  []eventlog.Position
}

// record is a record of the spool.
type record struct {
	id       string
	position eventlog.Position
	since    time.Time // when it was published
	left     int       // how many events are not decided
}

// The lease of the log that a publisher holds.
const leaseName = "publisher"

// openSpool opens the spool in a folder, and takes its lease.
func openSpool(ctx context.Context, dir string) (_ *spool, _ *refusedFile, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	// The folder stays where it is when the working directory changes.
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, nil, err
	}
	if strings.Contains(dir, "?") { // the URL of the log would end there
		return nil, nil, fmt.Errorf("the folder %s of a spool has a question mark in its name: choose another one", dir)
	}
	s := &spool{spare: newReserve(dir)}
	if err := s.spare.with(func() error { return s.open(ctx, dir) }); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.log.Close())
		}
	}()
	log := s.log
	// Its size, and what is decided of it already.
	first := ""
	for record, err := range log.Read(ctx, s.from(0)) {
		if err != nil {
			return nil, nil, err
		}
		if first == "" || record.ID < first { // the clock may have been set back
			first = record.ID
		}
		events, bytes, err := parseCount(record.Subject)
		if err != nil {
			return nil, nil, fmt.Errorf("the record at position %d of the spool: %w", record.Position, err)
		}
		if s.found.events == 0 {
			s.found.oldest = record.Recorded
		}
		s.found.events += events
		s.found.bytes += bytes
		s.last, s.behind = record.Position, true
	}
	refused, err := openRefused(dir, first)
	return s, refused, err
}

// open opens the log of the spool, and takes its lease.
func (s *spool) open(ctx context.Context, dir string) error {
	log, err := eventlog.OpenUnchecked(ctx, "sqlite:"+filepath.Join(dir, "spool.db"))
	if err != nil {
		return err
	}
	s.log = log.(eventlog.DeleteLog)
	if s.hold, err = log.Hold(ctx, leaseName); err == nil {
		s.spare.keep()
		return nil
	}
	if isHeld(err) {
		err = fmt.Errorf("the spool in %s has a publisher already: %w", dir, err)
	}
	return errors.Join(err, log.Close())
}

func newMemorySpool() *spool { return &spool{} }

// from is where to read what comes after a position. Records in between may be deleted.
func (s *spool) from(after eventlog.Position) eventlog.From {
	return eventlog.From{After: after, Logger: slog.New(slog.DiscardHandler)}
}

// formatCount is the subject of a record: how many events it has, and what they count for.
func formatCount(events int, bytes int64) string {
	return strconv.Itoa(events) + " " + strconv.FormatInt(bytes, 10)
}

func parseCount(subject string) (events, bytes int64, err error) {
	first, second, _ := strings.Cut(subject, " ")
	if events, err = strconv.ParseInt(first, 10, 64); err == nil {
		bytes, err = strconv.ParseInt(second, 10, 64)
	}
	if err != nil || events < 1 || bytes < 1 {
		return 0, 0, errDamaged
	}
	return events, bytes, nil
}

// progress returns the position up to which all records are decided.
func (s *spool) progress() eventlog.Position {
	if len(s.records) > 0 {
		return s.records[0].position - 1
	}
	return s.loaded
}

// removeInterval is how often decided records are deleted. What was not, when the process
// is killed, is sent again.
const removeInterval = 50 * time.Millisecond

// write stores what is published, until the publisher stops. What comes while one commit is
// synced is in the next.
func (p *Publisher) write() {
	removed := time.Now()
	timer := time.NewTimer(removeInterval)
	defer timer.Stop()
	for {
		select {
		case <-p.work:
		case <-timer.C:
		}
		ended := p.ctx.Err() != nil // nothing is published after that, but something may be before the lock
		p.mu.Lock()
		commit := p.next
		there := len(commit.events) > 0
		if there {
			p.next, p.spool.committing = newCommit(), commit
		}
		p.mu.Unlock()
		if there {
			p.store(commit)
		} else if ended {
			return
		}
		if since := time.Since(removed); since >= removeInterval {
			p.spool.removeDecided(p)
			removed = time.Now()
		}
		timer.Reset(removeInterval)
	}
}

// store stores a commit.
func (p *Publisher) store(commit *commit) {
	now := time.Now()
	records, events := p.spool.encode(commit.events, p.late(now, commit.events))
	positions, err := p.spool.append(events)
	p.mu.Lock()
	p.spool.committing = nil
	if err != nil {
		commit.err = fmt.Errorf("the event is not published, because the spool can't store it: %w", err)
		p.bytes -= commit.bytes
		p.pending -= int64(len(commit.events))
	} else {
		for i, record := range records {
			record.position, record.since = positions[i], now
		}
		p.stats.Published += int64(len(commit.events))
		p.spool.last = records[len(records)-1].position
		switch {
		case p.spool.loaded >= p.spool.last:
			// They were read from the log between its commit and now.
		case !p.spool.behind && (p.spool.log == nil || p.spool.window < p.settings.window):
			p.spool.loaded = p.spool.last
			p.spool.window += commit.bytes
			p.arrive(records, commit.events)
		default:
			p.spool.behind = true
		}
	}
	p.makeRoom() // the next commit has some
	p.mu.Unlock()
	close(commit.done)
	signal(p.wake)
}

// arrive hands events to the scheduler. The mutex is locked.
func (p *Publisher) arrive(records []*record, events []*event) {
	p.spool.records = append(p.spool.records, records...)
	p.inbox.arrived = append(p.inbox.arrived, events...)
	if p.stats.Oldest.IsZero() {
		p.stats.Oldest = records[0].since
	}
}

// lateFor is for how long the events of a source count as late after the server asked to wait.
const lateFor = time.Minute

// late moves events that are likely to wait for long behind the others, and returns where the
// first of them is. A record is deleted when all of its events are decided: what is sent soon
// must not stay on the disk because of them. The events of a subject are all late, or none.
func (p *Publisher) late(now time.Time, events []*event) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spool.log == nil || len(p.stuck) == 0 && len(p.pushedBack) == 0 {
		return len(events)
	}
	isLate := func(e *event) bool {
		return p.stuck[e.key()] || now.Sub(p.pushedBack[e.source]) < lateFor
	}
	soon := make([]*event, 0, len(events))
	var late []*event
	for _, e := range events {
		if isLate(e) {
			late = append(late, e)
		} else {
			soon = append(soon, e)
		}
	}
	copy(events, append(soon, late...))
	return len(soon)
}

// encode returns records with the events, and the events of the log that they are. Those from
// late on have records of their own.
func (s *spool) encode(events []*event, late int) (records []*record, stored []eventlog.Event) {
	var data []byte
	var bytes int64
	for i, e := range events {
		if data == nil {
			records = append(records, &record{id: eventid.New()})
			if s.log != nil {
				data = make([]byte, 0, maxRecordBytes/4)
			}
			bytes = 0
		}
		one := records[len(records)-1]
		e.record, e.index = one, one.left
		one.left++
		if s.log == nil {
			data = []byte{}
			continue
		}
		var before *event
		if e.index > 0 {
			before = events[i-1]
		}
		data = appendEvent(data, e, before)
		bytes += e.size()
		if len(data) >= maxRecordBytes || i == len(events)-1 || i == late-1 {
			stored = append(stored, eventlog.Event{ID: one.id, Type: recordSchema, Schema: recordSchema, Subject: formatCount(one.left, bytes), Data: data})
			data = nil
		}
	}
	return records, stored
}

// append stores records durably, all or none.
func (s *spool) append(events []eventlog.Event) (positions []eventlog.Position, err error) {
	if s.log == nil {
		return []eventlog.Position{s.last + 1}, nil
	}
	receipts, err := s.log.Append(context.Background(), events...)
	for _, receipt := range receipts {
		positions = append(positions, receipt.Position)
	}
	return positions, err
}

// load reads events into memory that found no room there when they were published, or that
// were there when the spool was opened, until the publisher stops.
func (p *Publisher) load() {
	s := p.spool
	if s.log == nil {
		return
	}
	for {
		p.mu.Lock()
		room := s.behind && s.window < p.settings.window/2
		after := s.loaded
		p.mu.Unlock()
		if !room {
			select {
			case <-p.loadMore:
				continue
			case <-p.ctx.Done():
				return
			}
		}
		err := p.loadFrom(after)
		if p.ctx.Err() != nil {
			return
		}
		if err != nil {
			p.report.failed("the spool of a publisher can't be read; it is tried again, and what comes after that waits", err)
			p.mu.Lock()
			p.stats.LastError = err
			p.mu.Unlock()
			pause(p.ctx, time.Second)
		}
	}
}

// loadFrom reads records after a position, until there is no room for more.
func (p *Publisher) loadFrom(after eventlog.Position) error {
	for stored, err := range p.spool.log.Read(p.ctx, p.spool.from(after)) {
		if err != nil {
			return err
		}
		events, err := parseRecord(stored.Data)
		if err != nil {
			return fmt.Errorf("the record at position %d: %w", stored.Position, err)
		}
		one := &record{id: stored.ID, position: stored.Position, since: stored.Recorded, left: len(events)}
		var size int64
		for i, e := range events {
			e.record, e.index = one, i
			e.data = bytes.Clone(e.data) // otherwise one event would keep the whole record in memory
			e.route = p.senderOf(e.message, e.rpc, e.outside)
			size += e.size()
		}
		p.mu.Lock()
		p.spool.loaded = stored.Position
		p.spool.window += size
		p.arrive([]*record{one}, events)
		full := p.spool.window >= p.settings.window
		p.mu.Unlock()
		signal(p.wake)
		if full {
			return nil
		}
	}
	p.mu.Lock()
	p.spool.behind = p.spool.loaded < p.spool.last
	p.mu.Unlock()
	return nil
}

// removeDecided deletes records whose events are all decided.
func (s *spool) removeDecided(p *Publisher) {
	p.mu.Lock()
	positions := s.removable
	s.removable = nil
	p.mu.Unlock()
	if len(positions) == 0 || s.log == nil {
		return
	}
	err := s.spare.with(func() error { return s.log.Delete(context.Background(), positions...) })
	if err == nil {
		s.spare.keep()
	} else {
		p.report.failed("sent records can't be deleted from the spool; the publisher tries again", err)
		p.mu.Lock()
		s.removable = append(s.removable, positions...)
		p.mu.Unlock()
	}
}

// remove deletes them when the publisher has stopped.
func (s *spool) remove() {
	if s.log != nil && len(s.removable) > 0 {
		_ = s.log.Delete(context.Background(), s.removable...) // otherwise they are sent again
	}
}

func (s *spool) close() error {
	if s.log == nil {
		return nil
	}
	return s.log.Close() // and the lease with it
}

// pause waits for a duration, or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
