#!/bin/sh
# Generates the messages of the suite, from the protos in its module.
set -eu
protos=$(go list -m -f '{{.Dir}}' connectrpc.com/conformance)/proto
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/buf.gen.yaml" <<YAML
version: v2
managed:
  enabled: true
  override:
    - {file_option: go_package, value: $(go list)/conformancev1}
plugins:
  - {local: protoc-gen-go, out: $work, opt: paths=source_relative}
  - {local: protoc-gen-go-grpc, out: $work, opt: paths=source_relative}
YAML
buf build "$protos" --exclude-source-info -o "$work/image.binpb"
buf generate "$work/image.binpb" --template "$work/buf.gen.yaml"
for name in config server_compat service; do
	cp "$work/connectrpc/conformance/v1/$name"*.go conformancev1/
done
