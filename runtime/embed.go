// Package runtime holds the source of the packages below it, and finds the part
// of it that a module needs. That part is copied into the module.
package runtime

import "embed"

// Path is the import path that the packages have here.
const Path = "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime"

// Source is the source of the packages that may be copied, each in a folder of
// its own, with the files of their tests, which are not copied.
//
//go:embed bulk/*.go client/*.go cloudevents/*.go command/*.go console/*.go console/*.html console/*.svg console/*.css console/*.js dialect/*.go eventid/*.go eventlog/*.go eventlog/compat/*.go eventlog/eventlogtest/*.go eventlog/file/*.go eventlog/into/*.go eventlog/memory/*.go eventlog/nats/*.go eventlog/sqlite/*.go guard/*.go metrics/*.go operate/*.go operate/parquet/*.go operate/query/*.go ops/*.go outbox/*.go prove/*.go publisher/*.go rejected/*.go server/*.go servertest/*.go terminal/*.go traces/*.go validate/*.go version/*.go web/*.go
var Source embed.FS

// beside are the files that go along with the packages: a template of the
// README, and the licence, which is the one of this repository.
//
//go:embed copied/README.md copied/LICENSE
var beside embed.FS
