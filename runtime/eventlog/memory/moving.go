//runtime:with operate.Backup eventlog.FileLog eventlog.Restore eventlog.ImportLog eventlog.EraseLog

package memory

import (
	"context"
	"slices"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// Import implements [eventlog.ImportLog]. Positions are always the next ones.
func (l *openLog) Import(ctx context.Context, after eventlog.Position, records []eventlog.Record) ([]eventlog.Position, error) {
	if err := l.usable(ctx, true); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := eventlog.Position(len(l.records)); last != after {
		return nil, eventlog.NotLast(after, last)
	}
	for i := range records {
		position, known := l.positions[[2]string{records[i].Source, records[i].ID}]
		if known && !l.records[position-1].Stores(&records[i].Event) && !records[i].Stores(&l.records[position-1].Event) {
			return nil, eventlog.Conflict(&records[i].Event)
		}
	}
	positions := make([]eventlog.Position, len(records))
	for i, record := range records {
		key := [2]string{record.Source, record.ID}
		if l.positions[key] > 0 {
			continue
		}
		record.Position, record.Data = eventlog.Position(len(l.records)+1), slices.Clone(record.Data)
		positions[i], l.positions[key] = record.Position, len(l.records)+1
		l.bytes += int64(record.Size())
		l.keepSchema(record.Version)
		l.records = append(l.records, record)
	}
	close(l.grown)
	l.grown = make(chan struct{})
	return positions, nil
}

// Erase implements [eventlog.EraseLog].
func (l *openLog) Erase(ctx context.Context, source, subject string, positions ...eventlog.Position) (erased eventlog.Erasure, err error) {
	if err := l.usable(ctx, true); err != nil {
		return erased, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = slices.Clone(l.records) // whoever reads has the records of before
	isMeant := func(record *eventlog.Record) bool {
		return record.Source == source && record.Subject == subject && (len(positions) == 0 || slices.Contains(positions, record.Position))
	}
	for i := range l.records {
		if record := &l.records[i]; isMeant(record) && !record.Erased {
			l.bytes -= int64(record.Size())
			record.Subject, record.Data, record.Traceparent, record.Version, record.Erased = "", nil, "", "", true
			l.bytes += int64(record.Size())
			erased.Events++
		}
	}
	for _, c := range l.consumers {
		for position, letter := range c.dead {
			if isMeant(&letter.Record) {
				delete(c.dead, position)
				erased.Letters++
			}
		}
	}
	return erased, nil
}

var (
	_ eventlog.ImportLog = (*openLog)(nil)
	_ eventlog.EraseLog  = (*openLog)(nil)
)
