package compile_test

import (
	"github.com/spf13/pflag"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
)

// asked returns what the flags of generate say. It panics if they are wrong.
func asked(args []string) (o compile.Options) {
	flags := pflag.NewFlagSet("generate", pflag.PanicOnError)
	flags.StringArrayVarP(&o.ImportPaths, "proto_path", "I", nil, "")
	flags.StringArrayVar(&o.Receiver, "receiver_opt", nil, "")
	flags.StringArrayVar(&o.Go, "go_opt", nil, "")
	flags.StringArrayVar(&o.GoGRPC, "go-grpc_opt", nil, "")
	flags.BoolVar(&o.Check, "check", false, "")
	flags.BoolVar(&o.Diff, "diff", false, "")
	_ = flags.Parse(args) // it panics
	o.Files = flags.Args()
	return o
}
