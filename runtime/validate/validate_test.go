package validate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/validate"
)

const orders = `
message Batch { repeated Order orders = 1 [(buf.validate.field).repeated.min_items = 1]; }
message Order {
  string id = 1 [(buf.validate.field).string.min_len = 1];
  map<string, Item> items = 2;
  google.protobuf.Any extra = 3 [(buf.validate.field).any.in = "type.googleapis.com/test.Item"];
}
message Item {
  int32 count = 1 [(buf.validate.field).int32 = {gte: 1, lte: 9}];
  string note = 2 [(buf.validate.field).cel = {id: "shout", message: "must not shout", expression: "this != 'SHOUT'"}];
}
`

// message returns an empty message of a proto with rules, which has these messages.
func message(t testing.TB, messages string, name protoreflect.Name) *dynamicpb.Message {
	t.Helper()
	dir := t.TempDir()
	text := "syntax = \"proto3\";\npackage test;\nimport \"buf/validate/validate.proto\";\nimport \"google/protobuf/any.proto\";\n" + messages
	if err := os.WriteFile(filepath.Join(dir, "test.proto"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	request, err := compile.Request(t.Context(), []string{dir}, []string{"test.proto"})
	if err != nil {
		t.Fatal(err)
	}
	files, err := protodesc.NewFiles(&descriptorpb.FileDescriptorSet{File: request.GetProtoFile()})
	if err != nil {
		t.Fatal(err)
	}
	file, err := files.FindFileByPath("test.proto")
	if err != nil {
		t.Fatal(err)
	}
	return dynamicpb.NewMessage(file.Messages().ByName(name))
}

func TestRequestsMustKeepTheirRules(t *testing.T) {
	empty := message(t, orders, "Batch")
	check, err := validate.Rules(empty)()
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("k", 1000)
	for _, test := range []struct {
		request string
		fields  []string
		text    string
	}{
		{`orders { id: "a" }`, nil, ""},
		{`orders { id: "a" items { key: "x" value { count: 9 note: "no" } } }`, nil, ""},
		{``, []string{"orders"}, "orders: must contain at least 1 item(s)"},
		{`orders { id: "a" } orders {}`, []string{"orders[1].id"}, "orders[1].id: must be at least 1 characters"},
		{`orders { id: "a" items { key: "x" value { count: 10 note: "SHOUT" } } }`,
			[]string{`orders[0].items["x"].count`, `orders[0].items["x"].note`},
			`orders[0].items["x"].count: must be greater than or equal to 1 and less than or equal to 9; orders[0].items["x"].note: must not shout`},
		{`orders { id: "a" extra { type_url: "type.googleapis.com/test.Order" } }`, []string{"orders[0].extra"}, "orders[0].extra: type URL must be in the allow list"},
		{`orders {} orders {} orders {} orders {} orders {}`,
			[]string{"orders[0].id", "orders[1].id", "orders[2].id", "orders[3].id", "orders[4].id"},
			"orders[0].id: must be at least 1 characters; orders[1].id: must be at least 1 characters; orders[2].id: must be at least 1 characters; and 2 more"},
		{`orders { id: "a" items { key: "` + long + `" } }`, []string{`orders[0].items["` + long[:300-17] + "…"},
			`orders[0].items["` + long[:300-17] + "…: must be greater than or equal to 1 and less than or equal to 9"},
	} {
		request := proto.CloneOf(empty)
		if err := prototext.Unmarshal([]byte(test.request), request); err != nil {
			t.Fatal(err)
		}
		err := check(request)
		if test.fields == nil {
			if err != nil {
				t.Errorf("of %s it says %v, but it is valid", test.request, err)
			}
			continue
		}
		refused := status.Convert(err)
		if refused.Code() != codes.InvalidArgument || refused.Message() != test.text {
			t.Errorf("error of %.80s is\n%v\nwant InvalidArgument:\n%s", test.request, err, test.text)
		}
		var fields []string
		for _, detail := range refused.Details() {
			for _, violation := range detail.(*errdetails.BadRequest).GetFieldViolations() {
				fields = append(fields, violation.GetField())
			}
		}
		if strings.Join(fields, " ") != strings.Join(test.fields, " ") {
			t.Errorf("fields of %.80s are %q, want %q", test.request, fields, test.fields)
		}
	}
}

// Thousands of wrong events are refused by the first of them.
func TestALargeRequestIsRefusedByItsFirstViolation(t *testing.T) {
	request := message(t, orders, "Batch")
	check, err := validate.Rules(request)()
	if err != nil {
		t.Fatal(err)
	}
	field := request.Descriptor().Fields().ByName("orders")
	for range 100_000 {
		request.Mutable(field).List().AppendMutable()
	}
	refused := status.Convert(check(request))
	if got, want := refused.Message(), "orders[0].id: must be at least 1 characters"; got != want {
		t.Errorf("it says %.300q, want %q", got, want)
	}
}

func TestARuleThatDoesNotCompileIsAnErrorAtTheStart(t *testing.T) {
	for name, messages := range map[string]string{
		"test.Order.id": `message Request { repeated Order orders = 1; }
			message Order { string id = 1 [(buf.validate.field).cel = {id: "x", expression: "this +"}]; }`,
		"test.Request.items": `message Request { map<string, Item> items = 1; }
			message Item { option (buf.validate.message).cel = {id: "x", expression: "this.what == 1"}; }`,
		"test.Request.id": `message Request { int32 id = 1 [(buf.validate.field).string.min_len = 1]; }`,
	} {
		check, err := validate.Rules(message(t, messages, "Request"))()
		if check != nil || err == nil || !strings.HasPrefix(err.Error(), "the rules of "+name+" in its proto do not compile: ") {
			t.Errorf("error is %v, want one that names %s", err, name)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	request := message(b, orders, "Order")
	if err := prototext.Unmarshal([]byte(`id: "a" items { key: "x" value { count: 9 note: "no" } }`), request); err != nil {
		b.Fatal(err)
	}
	check, err := validate.Rules(request)()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := check(request); err != nil {
			b.Fatal(err)
		}
	}
}
