// Package runtime holds the source of the packages below it, as they are copied
// into the modules that are generated into.
package runtime

import "embed"

// Path is the import path that the packages have here.
const Path = "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"

// Source is the source of the packages, each in a folder of its own, with the
// files of their tests.
//
//go:embed client/*.go command/*.go eventid/*.go eventlog/*.go eventlog/memory/*.go eventlog/nats/*.go eventlog/sqlite/*.go operate/*.go server/*.go servertest/*.go
var Source embed.FS
