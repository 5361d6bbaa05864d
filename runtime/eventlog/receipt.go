package eventlog

import (
	"context"
	"time"
)

// This file has what skeletons write about receipts into their replies.

// Sum adds up the receipts of several events.
type Sum struct {
	Events     int     // how many receipts were added
	Duplicates int     // how many of these events were stored before
	Last       Receipt // the last of them; the zero Receipt if there is none
}

// Add adds receipts.
func (s *Sum) Add(receipts ...Receipt) {
	for _, receipt := range receipts {
		s.Events++
		if receipt.Duplicate {
			s.Duplicates++
		}
		s.Last = receipt
	}
}

// Duplicate reports whether there are events, and all of them were stored before.
func (s *Sum) Duplicate() bool { return s.Events > 0 && s.Duplicates == s.Events }

// Positions returns the position of each event.
func Positions[N int64 | uint64](receipts []Receipt) []N {
	positions := make([]N, len(receipts))
	for i, receipt := range receipts {
		positions[i] = N(receipt.Position)
	}
	return positions
}

// IDs returns the id of each event.
func IDs(receipts []Receipt) []string {
	ids := make([]string, len(receipts))
	for i, receipt := range receipts {
		ids[i] = receipt.ID
	}
	return ids
}

// Duplicates returns for each event whether it was stored before.
func Duplicates(receipts []Receipt) []bool {
	duplicates := make([]bool, len(receipts))
	for i, receipt := range receipts {
		duplicates[i] = receipt.Duplicate
	}
	return duplicates
}

// RecordedTime returns when the event of a receipt was recorded, which it reads from
// the log. It returns the zero time for the zero Receipt, and if the log no longer
// keeps the event.
func RecordedTime(ctx context.Context, log Log, receipt Receipt) (time.Time, error) {
	if receipt.Position <= 0 {
		return time.Time{}, nil
	}
	for record, err := range log.Read(ctx, After(receipt.Position-1)) {
		if err != nil {
			return time.Time{}, err
		}
		if record.Position == receipt.Position {
			return record.Recorded, nil
		}
		break
	}
	return time.Time{}, nil
}
