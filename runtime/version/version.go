// Package version says which version of the runtime this is, and stops the
// build if the runtime and generated code do not fit each other.
//
// Generated code has these lines, once in each of its packages:
//
//	const (
//		_ = version.RuntimeIsTooOldForThisCode(version.Level - 7)
//		_ = version.ThisCodeIsTooOldForTheRuntime(7 - version.Oldest)
//	)
//
// The 7 is the level of the runtime that the code was generated for. If the
// two fit, both constants are zero or more. If not, one is negative, and the
// compiler reports "constant -1 overflows" and the name of the type, before
// anything that is undefined further down.
package version

// Release is the release of protoc-gen-receiver that the runtime comes from.
const Release = "v0.1.0"

// Level counts the changes of the runtime that generated code can notice. It
// grows by one when generated code begins to use something new of the runtime,
// and when the runtime no longer builds with code that was generated before.
const Level = 7

// Oldest is the level of the oldest generated code that builds with the
// runtime. It becomes the new Level when the runtime changes or removes
// something that generated code uses.
const Oldest = 5

// RuntimeIsTooOldForThisCode is named in an error of the compiler if the code
// at that line uses something that the runtime does not have yet. Update the
// runtime: if it is a copy in your module, by running protoc-gen-receiver
// again, which reports the files of the copy that you have taken over; if it
// is another module, with go get.
type RuntimeIsTooOldForThisCode uint

// ThisCodeIsTooOldForTheRuntime is named in an error of the compiler if the
// runtime no longer has something that the code at that line uses. Generate
// the code again, with the protoc-gen-receiver of the runtime's [Release].
type ThisCodeIsTooOldForTheRuntime uint
