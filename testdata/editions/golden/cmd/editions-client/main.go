// Command editions-client calls the RPCs of editions-server: a subcommand for each.
package main

import (
	"os"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/command"
)

func main() {
	os.Exit(command.Main("editions-client", commands))
}
