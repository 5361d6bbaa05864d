package main

import (
	"fmt"
	"os/exec"
	"path"
)

// plugin is a program that is measured.
type plugin struct {
	name      string
	path      string // of its package; a tool of this module if it isn't ours
	parameter string
}

// ours is the plugin that is compared with the others.
var ours = plugin{name: "protoc-gen-receiver", path: "./cmd/protoc-gen-receiver"}

// grpc is the plugin to which the ratios are.
var grpc = plugin{name: "protoc-gen-go-grpc", path: "google.golang.org/grpc/cmd/protoc-gen-go-grpc", parameter: "module=" + module}

// plugins are all plugins, in the versions of go.mod.
var plugins = []plugin{
	grpc,
	{name: "protoc-gen-go", path: "google.golang.org/protobuf/cmd/protoc-gen-go", parameter: "module=" + module},
	{name: "protoc-gen-connect-go", path: "connectrpc.com/connect/cmd/protoc-gen-connect-go", parameter: "module=" + module},
	{
		name: "protoc-gen-grpc-gateway", path: "github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway",
		parameter: "module=" + module + ",generate_unbound_methods=true",
	},
	ours,
}

// build builds the plugins into a folder.
func build(bin string) error {
	for _, p := range plugins {
		command := exec.Command("go", "build", "-o", path.Join(bin, p.name), p.path)
		if p == ours {
			root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
			if err != nil {
				return fmt.Errorf("this must run in the module of the benchmarks: %w", err)
			}
			command.Dir = path.Dir(string(root))
		}
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", p.name, err, output)
		}
	}
	return nil
}
