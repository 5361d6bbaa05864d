// Package bench measures generated code: calls of the demo's service over the
// network. The folder plugin measures the generator, and the folder events the event
// log. Run all of them with make bench.
package bench
