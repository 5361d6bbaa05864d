package query_test

import (
	"syscall"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate/query"
)

// What runs before the thread of a query has the processor first, and other threads of the
// process keep what they have.
func TestQueriesGiveWay(t *testing.T) {
	priority := func() int {
		got, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
		if err != nil {
			t.Error(err)
		}
		return 20 - got // as the system call returns it
	}
	before := priority()
	after := make(chan int)
	go func() {
		query.GiveWay()
		after <- priority()
	}() // its thread ends with it
	if got := <-after; got != 19 {
		t.Errorf("the thread of a query has the priority %d, want 19, the lowest", got)
	}
	if got := priority(); got != before {
		t.Errorf("others have %d now, had %d", got, before)
	}
}
