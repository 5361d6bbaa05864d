// Command shop-client calls shop-server. It has a subcommand for each RPC.
package main

import (
	"os"

	"example.com/shop/internal/receiver-runtime/command"
)

func main() {
	os.Exit(command.Main("shop-client", commands))
}
