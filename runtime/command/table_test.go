package command

import (
	"bytes"
	"context"
	"strings"
	"testing"

	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
)

func TestTable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		replies []proto.Message
		width   int
		want    string
	}{
		"replies": {[]proto.Message{
			&testpb.SimpleResponse{Username: "jerry\x1b[31m", Payload: &testpb.Payload{Body: []byte("a")}},
			&testpb.SimpleResponse{OauthScope: "a long one"},
		}, 0, `
PAYLOAD.TYPE  PAYLOAD.BODY  USERNAME       OAUTH_SCOPE  SERVER_ID  GRPCLB_ROUTE_TYPE          HOSTNAME
COMPRESSABLE  YQ==          jerry\x1b[31m                          GRPCLB_ROUTE_TYPE_UNKNOWN
                                           a long one              GRPCLB_ROUTE_TYPE_UNKNOWN
`},
		"a list": {[]proto.Message{&testpb.StreamingOutputCallRequest{ResponseParameters: []*testpb.ResponseParameters{{Size: 7}, {Size: 100, IntervalUs: 3}}}}, 0, `
SIZE  INTERVAL_US  COMPRESSED.VALUE  FILL_PEER_SOCKET_ADDRESS.VALUE
7     0
100   3
`},
		"a terminal": {[]proto.Message{&testpb.StreamingOutputCallRequest{ResponseParameters: []*testpb.ResponseParameters{{Size: 7}}}}, 12, `
SIZE  INTER…
7     0
`},
	} {
		var out bytes.Buffer
		table := newTable(Env{Stdout: &out})
		table.width = test.width
		for _, reply := range test.replies {
			if err := table.reply(reply); err != nil {
				t.Fatal(err)
			}
		}
		if err := table.end(); err != nil {
			t.Fatal(err)
		}
		if got := "\n" + out.String(); got != test.want {
			t.Errorf("%s is%swant%s", name, got, test.want)
		}
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	addr := serve(t, mirror)
	for args, want := range map[string]string{
		"--output table":        "USERNAME",
		"--output json":         `{"username":`,
		"--output yaml":         `no format "yaml"`,
		"--output table --json": "exclude each other",
	} {
		var out bytes.Buffer
		env := Env{Program: "test-client", Args: append([]string{"echo", "--addr", addr}, strings.Fields(args)...), Getenv: func(string) string { return "" }, Stdout: &out}
		err := Run(context.Background(), env, With([]Command{echo}, Output))
		got := out.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s prints %s", args, got)
		}
	}
}
