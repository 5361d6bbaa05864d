package eventlog

import "sync"

// ForgetWarnings makes the process warn again of events that nothing reads.
func ForgetWarnings() {
	warnedOf.Clear()
	firstTail = sync.Once{}
}
