package model_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// TestUnread has comments that a compiler does not pass on, and others.
func TestUnread(t *testing.T) {
	const why = " is attached to nothing: write it on a line of its own, directly above a message, a field or an rpc"
	for name, test := range map[string]struct{ text, want string }{
		"behind a message":     {"message R {} // receiver:event", "shop.proto:2:14: the comment receiver:event" + why},
		"behind an rpc":        {"service S {\n  rpc A(R) returns (R) {} // receiver:event\n}\nmessage R {}", "shop.proto:3:27: the comment receiver:event" + why},
		"misspelt":             {"message R {} // reciever:event", "shop.proto:2:14: the comment reciever:event" + why},
		"the end of a file":    {"message R {}\n\n\n// receiver:event\n", "shop.proto:5:1: the comment receiver:event" + why},
		"one of two":           {"// receiver:event\nmessage R {}\nmessage S {} /* receiver:event */\n", "shop.proto:4:14: the comment receiver:event" + why},
		"in a block of lines":  {"message R {} /* A reading.\n * receiver:event */\n", "shop.proto:3:14: the comment receiver:event" + why},
		"read":                 {"// A reading.\n// receiver:event\nmessage R { // receiver:event\n  string a = 1; // receiver:source\n  /* receiver:time\n   * receiver:none */\n  int64 b = 2;\n}\n", ""},
		"detached":             {"message R {}\n\n// receiver:event\n\nmessage S {}\n", ""},
		"in a string":          {"message R { string a = 1 [json_name = \"\\\"// receiver:event\"]; }\n", ""},
		"prose":                {"message R {} // The receiver: event handlers.\n", ""},
		"a brace, and no line": {"message R {\n}\n// receiver:event\nmessage S {}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			text := "syntax = \"proto3\";\n" + test.text
			if err := os.WriteFile(filepath.Join(dir, "shop.proto"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			request, err := compile.Request(context.Background(), []string{dir}, []string{"shop.proto"})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(errorsOf(model.Unread(request.GetProtoFile()[0], text)), "\n"); got != test.want {
				t.Errorf("the error is\n%s, want\n%s", got, test.want)
			}
		})
	}
}
