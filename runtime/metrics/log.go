//runtime:with eventlog

package metrics

import "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"

// Log returns what counts what happens in an event log, for [eventlog.Observe].
func (m *Metrics) Log(eventlog.Log) eventlog.Observer { return eventlog.Observer{} }
