// Command shop-client calls the RPCs of shop-server: a subcommand for each.
package main

import (
	"os"

	"example.com/shop/internal/receiver-runtime/command"
)

func main() {
	os.Exit(command.Main("shop-client", commands))
}
