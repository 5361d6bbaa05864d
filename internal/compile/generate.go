package compile

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
)

// Usage is the help of the commands generate and explain.
const Usage = `Usage: protoc-gen-receiver generate [flags] [FILE.proto ...]
       protoc-gen-receiver explain [flags] [FILE.proto ...]

generate compiles protos and generates what protoc-gen-go, protoc-gen-go-grpc
and protoc-gen-receiver make of them: all of it, or nothing if anything is
wrong. explain writes nothing, and tells how each RPC is read, and why: whether
it takes events, which field is what of an event, which files it gets.
Without files they take every .proto below the folders of -I.

Flags:
  -I DIR, --proto_path=DIR   folder to find protos in; may be repeated (default .)
  --receiver_opt=NAME=VALUE  option of protoc-gen-receiver; may be repeated
  --go_opt=NAME=VALUE        option of protoc-gen-go; may be repeated
  --go-grpc_opt=NAME=VALUE   option of protoc-gen-go-grpc; may be repeated

protoc-gen-go and protoc-gen-go-grpc are taken from the module's tools (go get
-tool), else from PATH. They get module=PATH from go.mod unless told otherwise.
`

// Generate runs the command generate. What the user should know is written to
// out, a line at a time. The error is [flag.ErrHelp] if help was asked for.
func Generate(ctx context.Context, args []string, out io.Writer) error {
	request, more, err := load(ctx, args)
	if err != nil {
		return err
	}
	return generate(ctx, request, more, out)
}

// Explain runs the command explain, which takes what generate does, and writes
// how each RPC is read and what would be made of it.
func Explain(ctx context.Context, args []string, out io.Writer) error {
	request, _, err := load(ctx, args)
	if err != nil {
		return err
	}
	return plugin.Explain(request, out)
}

// load compiles what a command line names, and returns besides the options for
// the plugins of others, by their names.
func load(ctx context.Context, args []string) (*pluginpb.CodeGeneratorRequest, map[string]*list, error) {
	var importPaths, receiver list
	more := map[string]*list{"protoc-gen-go": {}, "protoc-gen-go-grpc": {}}
	flags := flag.NewFlagSet("generate", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Var(&importPaths, "I", "")
	flags.Var(&importPaths, "proto_path", "")
	flags.Var(&receiver, "receiver_opt", "")
	flags.Var(more["protoc-gen-go"], "go_opt", "")
	flags.Var(more["protoc-gen-go-grpc"], "go-grpc_opt", "")
	files, err := parse(flags, args)
	if err != nil {
		return nil, nil, err
	}
	if len(importPaths) == 0 {
		importPaths = list{"."}
	}
	if len(files) == 0 {
		files, err = find(importPaths)
	} else {
		files, err = named(importPaths, files)
	}
	if err != nil {
		return nil, nil, err
	}
	request, err := Request(ctx, importPaths, files)
	if err != nil {
		return nil, nil, err
	}
	request.Parameter = proto.String(strings.Join(receiver, ","))
	return request, more, nil
}

// parse lets flags stand between files, and -I touch its folder, as protoc does.
func parse(flags *flag.FlagSet, args []string) (files []string, err error) {
	for len(args) > 0 {
		if folder, found := strings.CutPrefix(args[0], "-I"); found && folder != "" && !strings.HasPrefix(folder, "=") {
			args = slices.Concat([]string{"-I", folder}, args[1:])
		}
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, fmt.Errorf("%w (see protoc-gen-receiver help)", err)
		}
		if args = flags.Args(); len(args) > 0 {
			files, args = append(files, args[0]), args[1:]
		}
	}
	return files, nil
}

// list is a flag that may be repeated.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// generate has all plugins answer, and then writes.
func generate(ctx context.Context, request *pluginpb.CodeGeneratorRequest, more map[string]*list, out io.Writer) error {
	options, err := plugin.ParseOptions(request.GetParameter())
	if err != nil {
		return err
	}
	tell := func(line string) { fmt.Fprintln(out, "protoc-gen-receiver:", line) }
	ours := plugin.Respond(request, tell)
	if ours.GetError() != "" {
		return errors.New(ours.GetError())
	}
	gomod, err := plugin.ReadGoMod(options.Root)
	if err != nil {
		return err
	}
	theirs := proto.CloneOf(request)
	theirs.FileToGenerate = within(request, gomod.Path(), options)
	files := ours.GetFile()
	for _, tool := range tools {
		program, err := tool.find(ctx, options.Root, gomod)
		if err != nil {
			return err
		}
		response, err := tool.run(ctx, program, theirs, options.ForGo(gomod.Path(), *more[tool.name()]))
		if err != nil {
			return err
		}
		files = append(files, response.GetFile()...)
	}
	if err := write(options.Root, files); err != nil {
		return err
	}
	return require(request.GetParameter(), ours, tell)
}

// require adds to go.mod what the files import and it does not have yet.
func require(parameter string, ours *pluginpb.CodeGeneratorResponse, tell func(string)) error {
	gomod, missing, err := plugin.Untested(parameter)
	if err != nil || len(missing) == 0 || len(ours.GetFile()) == 0 {
		return err
	}
	var words []string
	for _, need := range missing {
		words = append(words, need.String())
	}
	tell("go.mod: required the versions that this was tested with: " + strings.Join(words, " "))
	return gomod.Require(missing)
}

// within are the files whose messages belong to the module; those of others
// have their Go code already.
func within(request *pluginpb.CodeGeneratorRequest, modulePath string, options plugin.Options) (files []string) {
	for _, file := range request.GetProtoFile() {
		if !slices.Contains(request.GetFileToGenerate(), file.GetName()) {
			continue
		}
		goPackage := options.GoPackage(file)
		if goPackage == modulePath || strings.HasPrefix(goPackage, modulePath+"/") {
			files = append(files, file.GetName())
		}
	}
	return files
}
