package eventlog

import (
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

func TestCallersAreToldWhenToTryAgain(t *testing.T) {
	for kind, want := range map[error]bool{
		ErrFull: true, ErrUnavailable: true,
		ErrInvalid: false, ErrConflict: false, ErrReadOnly: false, ErrHeld: false, ErrClosed: false,
	} {
		got := false
		for _, detail := range status.Convert(&Error{Kind: kind}).Details() {
			info, is := detail.(*errdetails.RetryInfo)
			got = is && info.GetRetryDelay().AsDuration() == retryDelay
		}
		if got != want {
			t.Errorf("%v: told %v, want %v", kind, got, want)
		}
	}
}
