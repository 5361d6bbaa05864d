// Package acceptance holds the tests of the whole product with real tools: the
// plugin as a program, protoc, buf, the Go command, and a gRPC of another
// language on the other side of the wire.
package acceptance
