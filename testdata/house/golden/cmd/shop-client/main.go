// Command shop-client calls the RPCs of shop-server: a subcommand for each.
package main

import (
	"os"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/command"
)

func main() {
	os.Exit(command.Main("shop-client", commands))
}
