// Package duckdb has the test that DuckDB reads what events are exported to. It is a module
// of its own: its library has compiled code for each system, which is needed nowhere else.
package duckdb
