// Command kinds-client calls the RPCs of kinds-server: a subcommand for each.
package main

import (
	"os"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/command"
)

func main() {
	os.Exit(command.Main("kinds-client", commands))
}
