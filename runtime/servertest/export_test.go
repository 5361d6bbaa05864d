package servertest

import "time"

// ShortenTimeouts makes consumers be given up on after a time.
func ShortenTimeouts(to time.Duration) { consumeTimeout, endTimeout = to, to }
