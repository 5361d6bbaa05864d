// Command grpc-health-client calls the RPCs of grpc-health-server: a subcommand for each.
package main

import (
	"os"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/command"
)

func main() {
	os.Exit(command.Main("grpc-health-client", commands))
}
