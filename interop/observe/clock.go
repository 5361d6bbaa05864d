package main

import (
	"math"
	"time"
)

// clock makes a short time pass for a long one, for what is stored and asked: rules
// and dashboards look at minutes and hours, and can be tried as they are in seconds.
type clock struct {
	start time.Time
	speed float64 // seconds of this clock in a second
}

func newClock(speed float64) clock { return clock{time.Now(), speed} }

// at returns what this clock shows at a time. Times before its start stay as they are.
func (c clock) at(t time.Time) time.Time {
	passed := t.Sub(c.start)
	if passed <= 0 {
		return t
	}
	return c.start.Add(time.Duration(float64(passed) * c.speed))
}

func (c clock) now() time.Time { return c.at(time.Now()) }

// takes returns how long a time of this clock really takes.
func (c clock) takes(d time.Duration) time.Duration { return time.Duration(float64(d) / c.speed) }

// seconds converts a gauge that is a Unix time. What is in the future, such as the end
// of a certificate, stays as far ahead as it is.
func (c clock) seconds(value float64) float64 {
	if value <= 0 || math.IsNaN(value) || math.IsInf(value, 0) {
		return value
	}
	now := time.Now()
	if ahead := value - unix(now); ahead > 0 {
		return unix(c.at(now)) + ahead
	}
	whole, part := math.Modf(value)
	return unix(c.at(time.Unix(int64(whole), int64(part*1e9))))
}

func unix(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
