// Command internal-aux-testdata-client calls the RPCs of internal-aux-testdata-server: a subcommand for each.
package main

import (
	"os"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/command"
)

func main() {
	os.Exit(command.Main("internal-aux-testdata-client", commands))
}
