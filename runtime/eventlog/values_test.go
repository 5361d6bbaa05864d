package eventlog_test

import (
	"testing"
	"time"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

// TestTimesOfFields reads times from fields, and writes them into fields again.
func TestTimesOfFields(t *testing.T) {
	for _, test := range []struct {
		number int64
		unit   time.Duration
		want   time.Time
	}{
		{0, time.Second, time.Time{}},
		{123, time.Second, time.Unix(123, 0)},
		{1_500, time.Millisecond, time.Unix(1, 500_000_000)},
		{-1_500, time.Millisecond, time.Unix(-2, 500_000_000)},
		{1_700_000_000_000_001, time.Microsecond, time.Unix(1_700_000_000, 1_000)},
		{7, time.Nanosecond, time.Unix(0, 7)},
	} {
		got := eventlog.UnixTime(test.number, test.unit)
		if !got.Equal(test.want) {
			t.Errorf("UnixTime(%d, %v) = %v, want %v", test.number, test.unit, got, test.want)
		}
		if back := eventlog.UnixNumber(got, test.unit); back != test.number {
			t.Errorf("UnixNumber(%v, %v) = %d, want %d", got, test.unit, back, test.number)
		}
		if back := eventlog.TimestampTime(eventlog.Timestamp(got)); !back.Equal(got) {
			t.Errorf("as a timestamp %v is %v", got, back)
		}
	}
	if got := eventlog.Timestamp(time.Time{}); got != nil {
		t.Errorf("the timestamp of no time is %v, want nil", got)
	}
}

// TestNumbersOfFields writes numbers as the text of an attribute, 0 as none.
func TestNumbersOfFields(t *testing.T) {
	for got, want := range map[string]string{
		eventlog.Number[int64](0):                     "",
		eventlog.Number[int32](-17):                   "-17",
		eventlog.Number[uint32](17):                   "17",
		eventlog.Number(uint64(18446744073709551615)): "18446744073709551615",
		eventlog.Number(int64(-9223372036854775808)):  "-9223372036854775808",
	} {
		if got != want {
			t.Errorf("it is %q, want %q", got, want)
		}
	}
}
