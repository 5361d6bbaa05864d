// Command grafana writes the request of protoc for the services of
// github.com/grafana/grafana-plugin-sdk-go.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
)

func main() { descriptors.Main() }
