//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	soakEvery    = 10 * time.Second
	soakMay      = 512 << 10 // bytes by which the heap may have grown and is still flat
	soakVariant  = "all defaults"
	soakConnects = 8
)

// soak calls the server with all defaults, and prints its memory from time to time. The
// heap is that after a collection of garbage. In the second half it must not be larger
// than in the first, or the error says so.
func (b *bench) soak(ctx context.Context, total time.Duration) (err error) {
	v, err := variantOf(soakVariant)
	if err != nil {
		return err
	}
	l, err := b.newLoad(v, soakConnects)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.stop()) }()
	b.row("after", "calls", "heap", "resident")
	calls, largest := int64(0), [2]uint64{} // heap in each half
	begin, rounds := time.Now(), max(4, total/soakEvery)
	for round := range rounds {
		more, err := l.call(ctx, b.callers, total/rounds)
		if err != nil {
			return err
		}
		calls += more
		now, err := l.server.usage("collect")
		if err != nil {
			return err
		}
		half := 2 * round / rounds
		largest[half] = max(largest[half], now.Heap)
		b.row(time.Since(begin).Round(time.Second), calls, megabytes(now.Heap), megabytes(now.Resident))
		if err := b.out.Flush(); err != nil {
			return err
		}
	}
	if largest[1] > largest[0]+soakMay {
		return fmt.Errorf("the heap grew from %s in the first half to %s in the second", megabytes(largest[0]), megabytes(largest[1]))
	}
	fmt.Println("the heap is flat")
	return nil
}
