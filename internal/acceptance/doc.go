// Package acceptance tests the whole product with real tools: the plugin as a
// program, protoc, buf, the Go command, and a client and a server in Python.
package acceptance
