#!/bin/sh
# The demo: a module made of nothing but receiver.proto, its server run and
# called, and the event read back. Run it with make demo.
set -eu

repository=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
server=
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT INT TERM
cd "$work"

echo "== generate a module from receiver.proto"
cp "$repository/examples/receiver/receiver.proto" .
go mod init example.com/receiver 2>/dev/null
protoc-gen-receiver generate receiver.proto
go mod tidy 2>/dev/null || go mod tidy
go build -o bin/ ./cmd/...

echo "== start the server on a free port"
bin/receiver-server --addr localhost:0 --events sqlite:receiver.db 2>server.log &
server=$!
addr=
for _ in $(seq 100); do
	addr=$(sed -n 's/.*msg=serving addr=\([^ ]*\).*/\1/p' server.log)
	[ -z "$addr" ] || break
	kill -0 "$server" 2>/dev/null || break
	sleep 0.1
done
cat server.log
[ -n "$addr" ]

echo "== send it an event"
bin/receiver-client receive --addr "$addr" \
	--appid demo --xwhen 123 --xwho jerry --xwhat install --xcontext '{"idfa":"idfa1","amount":123}'

echo "== read the event back from the log"
bin/receiver-server events replay --events sqlite:receiver.db

echo "== stop the server"
kill -TERM "$server"
wait "$server"
server=
tail -n 2 server.log
