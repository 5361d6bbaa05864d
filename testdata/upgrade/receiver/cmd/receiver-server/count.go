package main

import (
	"context"
	"sync/atomic"

	"example.com/receiver/internal/receiver-runtime/eventlog"
)

// counted is a log that counts what is appended.
type counted struct {
	eventlog.Log
	appended atomic.Int64
}

func (c *counted) Append(ctx context.Context, events ...eventlog.Event) ([]eventlog.Receipt, error) {
	receipts, err := c.Log.Append(ctx, events...)
	c.appended.Add(int64(len(receipts)))
	return receipts, err
}
