package fuzz

import "strings"

// plainWords are names without a special meaning.
var plainWords = []string{
	"Order", "item", "Payment", "shop", "Invoice", "user", "Ledger", "stock", "Cart", "price", "Region", "parcel",
}

// evilWords are names with a special meaning in Go, gRPC, a file system, a shell, or the
// generated code.
var evilWords = []string{
	// Go: keywords
	"break", "case", "chan", "const", "continue", "default", "defer", "else", "fallthrough", "for", "func", "go", "goto",
	"if", "import", "interface", "map", "package", "range", "return", "select", "struct", "switch", "type", "var",
	// Go: predeclared
	"any", "append", "bool", "byte", "cap", "clear", "close", "comparable", "complex64", "copy", "delete", "error",
	"false", "float64", "int", "int32", "iota", "len", "make", "max", "min", "new", "nil", "panic", "print", "real",
	"recover", "rune", "string", "true", "uint8", "uintptr",
	// Go: methods and fields of messages
	"String", "Reset", "ProtoMessage", "ProtoReflect", "Descriptor", "GetString", "get_type", "XXX_unrecognized", "state",
	"size_cache", "unknown_fields", "Marshal", "ExtensionMap", "Has", "Clear", "Which", "Build", "Builder",
	// names of the generated code, and of packages that it imports
	"Client", "Server", "Context", "Error", "Errors", "Log", "Service", "Services", "Internal", "Main", "Test", "New",
	"Close", "Register", "Open", "Dial", "Option", "Store", "Stored", "Receipt", "Position", "Event", "Events", "Reply",
	"With", "WithEventID", "Insecure", "TLS", "RootCAs", "Certificate", "ErrFull", "ErrClosed", "Contract", "Serve", "Commands", "Command",
	"Consume", "NewService", "newService", "serve", "events", "client", "server", "commands", "services", "stream",
	"request", "event", "options", "context", "grpc", "proto", "codes", "status", "testing", "time", "cmp", "iter", "io",
	"fmt", "os", "flag", "eventlog", "eventid", "servertest", "operate", "command", "ctx", "err", "t", "s", "c", "l", "m", "_c",
	"main", "init", "run", "rpc", "Receiver", "Sample", "Fill", "TestContract", "TestMain", "TestRPC", "UnimplementedOrderServer",
	"RegisterOrderServer", "NewOrderClient", "OrderClient", "OrderServer", "OrderService", "Order_ServiceDesc", "isOrder",
	"File", "E_Order", "Append", "Read", "Tail", "AppendOrder", "orderWithIDs", "WithIDs", "mustEmbedUnimplementedOrderServer",
	"testEmbeddedByValue", "UnsafeOrderServer", "Order_item", "Order_Item", "Order_Item_FullMethodName", "Order_itemClient",
	// folders and files
	"Aux", "Con", "Nul", "Prn", "Com1", "lpt9", "Init", "Vendor", "Testdata", "Documentation", "v1", "v2beta1", "doc",
	"ReadTest", "ReadLinux", "ReadAmd64", "ReadWindows", "read_linux", "read_test", "_test", "Linux", "Test_", "Amd64",
	"order_client", "order_server", "order_log", "log", "receiver_runtime", "cmd", "gen", "internal", "pb", "testpb",
	// flags of the client's commands
	"addr", "timeout", "json", "insecure", "ca", "help", "h", "request_addr", "event_id", "no_addr", "addr_",
	// spellings
	"_", "__", "___", "_x", "x_", "__x__", "x__y", "xY", "Xy", "XY", "xy", "x_y", "X_Y", "x1", "x_1", "X1Y2", "_1", "_9a", "HTTPStatus",
	"http_status", "HttpStatus", "httpstatus", "Http_Status", "GetURL", "GetUrl", "get_url", "getUrl", "GETURL", "getURL_",
	// protobuf: keywords
	"message", "enum", "service", "rpc", "returns", "oneof", "option", "optional", "repeated", "required", "reserved",
	"extensions", "extend", "group", "syntax", "edition", "to", "weak", "public", "inf", "nan", "export", "local",
	// long ones
	strings.Repeat("Long", 75), strings.Repeat("long_", 60), strings.Repeat("x", 300), strings.Repeat("Long", 75) + "er",
	strings.Repeat("x", 119) + "_linux", strings.Repeat("x", 110) + "_test",
}

var evilProtoPackages = []string{
	"context", "grpc", "time", "errors", "server", "client", "internal", "vendor", "testdata", "runtime.v1", "internal.aux",
	"", "shop.v2", "shop", "Shop.V1", "shop_.v1", "main", "init", "cmd.v1", "receiver", "receiver.runtime",
	"receiver_runtime", "a.b.c.d.e.f.v1alpha1", "type.func", "con.nul", "events", "eventlog", "go", "example.com",
	"documentation", "internal.internal", "internal.shop", "a.v1.b", "v1", "aux", "com1.v1", "shop.order", "shop.v1.order",
	"error", "string", strings.Repeat("long", 70), "google.shop", "proto", "pb", "test", "shop_test.v1", "linux", "app",
}

// modulePaths are the possible module paths.
var modulePaths = []string{
	"example.com/shop", "example.com/shop/v2", "shop", "example.com/Internal/x", "github.com/o/protoc-gen-x", "gopkg.in/shop.v1",
	"example.com/internal/shop", "m", "example.com/context",
}

// ownGoPackages follow the module's path in a go_package. otherGoPackages are complete.
var (
	ownGoPackages = []string{
		"/gen/context", "/gen/grpc", "/gen/eventlog", "/gen/_x", "/gen/x_", "/gen/type", "/gen/pb", "/gen/testpb",
		"", "/internal", "/internal/shop", "/internal/shop/v1", "/internal/shop/v1/order", "/internal/pb",
		"/gen/x;_x", "/gen/x;x_", "/gen/x;pb", "/gen/x;x_test", "/gen/x;context", "/gen/x;string", "/gen/x;_",
		"/gen/Shop", "/gen/shop", "/gen/SHOP", "/gen/shop-pb", "/gen/shop.pb", "/gen/v1", "/gen/shop/v2", "/gen/shop_test",
		"/gen/testdata/x", "/gen/internal/x",
		"/gen/x;nil", "/gen/x;clientpb", "/gen/x;event", "/gen/x;request", "/gen/x;err", "/gen/x;ctx",
		"/gen/x;testing", "/gen/x;proto", "/gen/x;t", "/gen/x;client", "/gen/x;server", "/gen/x;l", "/gen/x;any", "/gen/x;append",
		"/gen/shop/shopclient", "/gen/orderpb/orderclient",
		"/gen/x;Xpb", "/gen/x;xPB", "/gen/x;p_b", "/gen/x;commands", "/gen/x;iter", "/gen/x;cmp", "/gen/x;time", "/gen/x;status",
	}
	otherGoPackages = []string{
		"example.org/other/orderpb", "example.org/other/context", "example.org/other/v2", "other/orderpb",
		"example.org/other;pb", "context", "example.org/other/eventlog",
		"example.com/shopping/orderpb", "example.org/Other/orderpb", "example.org/other/orderpb;orderpb", "a.b", "time/x", "x/_y",
	}
)

var fileNames = []string{
	"a.proto", "b.proto", "shop/v1/order.proto", "Context.proto", "x-y.proto", "aux.proto", "1.proto", "shop/_x.proto", "A.proto",
	"linux.proto", "x_test.proto", "shop_grpc.proto", "main.proto", "x y.proto", "ü.proto", "v1.proto", "-.proto", "shop.v1.proto",
}

// prose is text for comments.
var prose = []string{
	"Takes an order.", "Deprecated: no longer.", "go:build linux", "line x.go:1", "{{.Name}} {{", "%s %d %!", `"quotes" \n \`,
	"`backticks`", "Code generated by protoc-gen-receiver. DO NOT EDIT.", "    indented := 1", "\tfunc x() {", "ĸ0ĸ", "ĸ0ĸ.Event ĸ1ĸ",
	"", "ü ñ 漢字 \u2028", strings.Repeat("wide ", 60), strings.Repeat("w", 400), "-- text --", "//export x", "/* nested", "end. And more. ",
	"# heading", " - a list", "[link]: https://example.com", "receiver: an essay", "<html>&amp;</html>", "\x01", "a\vb", "import \"C\"",
}

// The rare words hide most other failures in the protos that have them.
var (
	rareProtoPackages = []string{"x._", "_", "_shop._v1", "_.__"}
	rareProse         = []string{"+build ignore", "a \ufeff mark", "\ufeff"}
	rareOwnGoPackages = []string{
		"/gen/x/", "/gen//x", "/gen/../x", "/gen/ü", "/gen/a b", "/gen/aux", "/gen/.hidden/x", "/gen/main", "/gen/x;main", "/gen/vendor/x",
		"/gen/x;_", "/gen/x;init", "/internal/receiver-runtime", "/internal/receiver-runtime/server", "/cmd/shop-server", "/vendor/x", "/gen/x;x y",
		"/gen/func", "/gen/x;func", "/gen/9shop",
	}
	rareOtherGoPackages = []string{
		"./orderpb", "../x", "/abs/x", "example.org/other;main", "example.org/other/internal/x", "C:/x", "example.org/other/a b", "time/time", "x/C",
	}
)
