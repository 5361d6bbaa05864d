// Package otlp tests the traces of a generated server with OpenTelemetry's own receiver,
// the one in its collector: as a process, by each protocol, with the calls of clients
// that are instrumented.
package otlp
