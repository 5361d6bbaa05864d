package eventlog

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// This file has what generated code needs to turn the values of fields into those of
// an [Event], and back.

// UnixTime returns the time that is a number of units after 1970, or none for 0.
func UnixTime(n int64, unit time.Duration) time.Time {
	if n == 0 {
		return time.Time{}
	}
	perSecond := int64(time.Second / unit)
	return time.Unix(n/perSecond, n%perSecond*int64(unit))
}

// UnixNumber returns how many whole units a time is after 1970, 0 for the zero time:
// it undoes [UnixTime].
func UnixNumber(t time.Time, unit time.Duration) int64 {
	if t.IsZero() {
		return 0
	}
	perSecond := int64(time.Second / unit)
	return t.Unix()*perSecond + int64(t.Nanosecond())/int64(unit)
}

// TimestampTime returns the time of a timestamp, or none for nil.
func TimestampTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// Timestamp returns a time as a message, nil for the zero time: it undoes
// [TimestampTime].
func Timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// Number returns the text of a number, or none for 0.
func Number[N int32 | int64 | uint32 | uint64](n N) string {
	switch {
	case n == 0:
		return ""
	case n < 0:
		return strconv.FormatInt(int64(n), 10)
	default:
		return strconv.FormatUint(uint64(n), 10)
	}
}
