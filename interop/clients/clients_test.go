// Package clients tests a generated server with clients and tools that others wrote.
package clients

import (
	"os"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/interop/orders"
)

func TestMain(m *testing.M) { os.Exit(orders.Run(m)) }
