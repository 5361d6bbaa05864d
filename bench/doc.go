// Package bench measures what is generated, and what generates it, as they are
// used: the plugin as a process, and calls of the demo's service over the wire.
// Run it with make bench.
package bench
