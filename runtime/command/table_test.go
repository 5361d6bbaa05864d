package command

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"golang.org/x/term"
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
		"wide and long": {[]proto.Message{
			&testpb.SimpleResponse{Username: "漢字e\u0301", OauthScope: strings.Repeat("x", 1000)},
			&testpb.SimpleResponse{Username: "jerry", OauthScope: "y", ServerId: "z"},
		}, 0, `
PAYLOAD.TYPE  PAYLOAD.BODY  USERNAME  OAUTH_SCOPE                                                   SERVER_ID  GRPCLB_ROUTE_TYPE          HOSTNAME
                            漢字é     ` + strings.Repeat("x", 1000) + `             GRPCLB_ROUTE_TYPE_UNKNOWN
                            jerry     y                                                             z          GRPCLB_ROUTE_TYPE_UNKNOWN
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

// A terminal of a container or a script may have no size.
func TestATerminalWithoutASizeIsWideEnough(t *testing.T) {
	t.Parallel()
	file, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil || !term.IsTerminal(int(file.Fd())) {
		t.Skipf("there are no terminals to open: %v", err)
	}
	defer file.Close()
	if width := terminalWidth(file); width != 80 {
		t.Errorf("it is %d wide", width)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"short": "short", "漢字漢字": "漢字…", "a longer one": "a lon…", "e\u0301e\u0301e\u0301": "e\u0301e\u0301e\u0301", "😀😀😀😀": "😀😀…"} {
		if got := cut(text, 6); got != want {
			t.Errorf("%q is cut to %q, want %q", text, got, want)
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
