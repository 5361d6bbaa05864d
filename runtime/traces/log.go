//runtime:with eventlog

package traces

import "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"

// Log returns what makes spans of what happens in an event log, for [eventlog.Observe].
func (s *Spans) Log() eventlog.Observer { return eventlog.Observer{} }
