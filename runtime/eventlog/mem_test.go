package eventlog_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/eventlogtest"
)

// memories counts those that were asked for: no two tests share one.
var memories atomic.Int64

func TestMemoryKeepsTheContract(t *testing.T) {
	eventlogtest.Run(t, eventlogtest.Engine{
		URL:        func(t testing.TB) string { return fmt.Sprint("memory:", memories.Add(1)) },
		Durability: eventlog.None,
	})
}
