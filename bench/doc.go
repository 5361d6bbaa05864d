// Package bench measures what is generated, as it is used: calls of the demo's
// service over the wire. What generates it is measured in the folder plugin.
// Run both with make bench.
package bench
