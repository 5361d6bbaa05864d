package main

// This program imports the runtime because generated code does, so that go.mod and
// go.sum include what the runtime imports.
import (
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/command"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/nats"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog/sqlite"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/guard"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/metrics"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/ops"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/rejected"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/traces"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/validate"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/web"
)
