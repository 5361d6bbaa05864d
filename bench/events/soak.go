package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// soak appends events with 64 callers, and prints the memory of the process after each
// tenth of them. It must not grow with the number of stored events.
func (b *bench) soak(ctx context.Context, events int) error {
	return inFolder(func(dir string) error {
		log, err := eventlog.Open(ctx, "sqlite:"+filepath.Join(dir, "events.db"))
		if err != nil {
			return err
		}
		b.row("events", "heap", "resident")
		var next atomic.Int64
		for tenth := 1; tenth <= 10 && err == nil; tenth++ {
			err = appendUntil(ctx, log, &next, int64(events/10*tenth))
			runtime.GC()
			var memory runtime.MemStats
			runtime.ReadMemStats(&memory)
			b.row(events/10*tenth, fmt.Sprintf("%.1f MB", float64(memory.HeapAlloc)/1e6), resident())
		}
		return errors.Join(err, log.Close(), b.out.Flush())
	})
}

// appendUntil appends with 64 callers until there are until events.
func appendUntil(ctx context.Context, log eventlog.Log, next *atomic.Int64, until int64) error {
	errs := make([]error, 64)
	var group sync.WaitGroup
	for caller := range errs {
		group.Go(func() {
			for errs[caller] == nil && next.Add(1) <= until {
				_, errs[caller] = log.Append(ctx, event())
			}
			next.Add(-1)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// resident returns the memory that the system has given to the process, or "?" if it
// is unknown.
func resident() string {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if size, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strings.TrimSpace(size)
		}
	}
	return "?"
}
