package servertest

import (
	"time"

	"google.golang.org/protobuf/proto"
)

// ShortenTimeouts makes consumers be given up on after a time.
func ShortenTimeouts(to time.Duration) { consumeTimeout, endTimeout = to, to }

// Changed says in words how a message differs from what it should be.
func Changed(got, want proto.Message) string {
	return changed(got.ProtoReflect(), want.ProtoReflect(), "")
}
