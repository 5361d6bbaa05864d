package main

// Generated code imports the runtime: so that go.mod and go.sum cover what that
// imports, this program does, too.
import (
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/client"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/command"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/operate"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/server"
	_ "github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)
