package eventlog_test

import (
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

func TestErrorsSayWhenToTryAgain(t *testing.T) {
	for kind, want := range map[error]bool{
		eventlog.ErrFull: true, eventlog.ErrUnavailable: true,
		eventlog.ErrInvalid: false, eventlog.ErrConflict: false, eventlog.ErrReadOnly: false, eventlog.ErrHeld: false, eventlog.ErrClosed: false,
	} {
		got := false
		for _, detail := range status.Convert(&eventlog.Error{Kind: kind}).Details() {
			info, ok := detail.(*errdetails.RetryInfo)
			got = ok && info.GetRetryDelay().AsDuration() == time.Second
		}
		if got != want {
			t.Errorf("%v says when to try again: %v, want %v", kind, got, want)
		}
	}
}
