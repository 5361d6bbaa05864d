// Package bench measures generated code: calls of the demo's service over the
// network. The folder plugin measures the generator, the folder events the event log,
// the folder sql what queries of it cost, and the folder server what a call costs the
// server. Run all of them with make bench.
package bench
