package eventlog

import (
	"sync"
	"time"
)

// ForgetWarnings makes the process warn again of events that nothing reads.
func ForgetWarnings() {
	warnedOf.Clear()
	firstTail = sync.Once{}
}

// ReportEvery sets how often a check logs how far it is, and returns what sets it back.
func ReportEvery(interval time.Duration) (restore func()) {
	before := reportEvery
	reportEvery = interval
	return func() { reportEvery = before }
}
