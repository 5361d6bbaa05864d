package model

import (
	"go/build"
	"io"
	"strings"
	"testing"
)

func TestSnake(t *testing.T) {
	for name, want := range map[string]string{
		"Receive":      "receive",
		"TakeOrder":    "take_order",
		"HTTPStatus":   "http_status",
		"GetHTTP":      "get_http",
		"GetV2Status":  "get_v2_status",
		"Reading_Done": "reading_done",
		"Äpfel":        "äpfel",
	} {
		if got := snake(name); got != want {
			t.Errorf("snake(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestProgram(t *testing.T) {
	for _, test := range []struct{ protoPackage, file, want string }{
		{"", "receiver.proto", "receiver"},
		{"", "a/b/order_intake.proto", "order-intake"},
		{"shop", "x.proto", "shop"},
		{"shop.v1", "x.proto", "shop"},
		{"shop.v2beta1", "x.proto", "shop"},
		{"acme.order_intake.v1", "x.proto", "acme-order-intake"},
		{"v1", "x.proto", "v1"},
		{"shop.vat", "x.proto", "shop-vat"},
	} {
		if got := program(test.protoPackage, test.file); got != test.want {
			t.Errorf("program(%q, %q) = %q, want %q", test.protoPackage, test.file, got, test.want)
		}
	}
}

func TestBase(t *testing.T) {
	for name, want := range map[string]string{"receiverpb": "receiver", "shopv1": "shopv1", "pb": "pb"} {
		if got := base(name); got != want {
			t.Errorf("base(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestPackageName(t *testing.T) {
	for name, want := range map[string]string{"Order_Intake": "orderintake", "Main": "main_", "_1": "x1", "X1": "x1", "_": "x_"} {
		if got := packageName(name); got != want {
			t.Errorf("packageName(%q) = %q, want %q", name, got, want)
		}
	}
}

// TestOnlyFor compares names of files with what the Go command makes of them.
func TestOnlyFor(t *testing.T) {
	elsewhere := build.Default
	elsewhere.GOOS, elsewhere.GOARCH = "elsewhere", "elsewhere"
	elsewhere.OpenFile = func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("package p\n")), nil }
	for _, name := range []string{
		"dev_windows", "dev_windows_test", "dev_linux_amd64", "a_b_arm64", "dev_test", "windows", "linux_amd64", "amd64", "test",
		"windows_test", "dev_test_test", "dev_windows_x", "windows_dev", "dev_unix", "dev_Windows", "dev.v1_windows", "dev_windows.v1",
	} {
		for _, ending := range []string{".pb.go", "_grpc.pb.go", "_protoopaque.pb.go"} {
			matches, err := elsewhere.MatchFile(".", name+ending)
			if err != nil {
				t.Fatal(err)
			}
			if only := onlyFor(name + ending); (only == "") != matches {
				t.Errorf("of %s it says that Go builds it for %q alone; that Go builds it anywhere is %t", name+ending, only, matches)
			}
		}
	}
}

func TestVariable(t *testing.T) {
	for pkg, want := range map[string]string{
		"receiver":      "receiverService",
		"ordersservice": "ordersService",
		"service":       "serviceService", // service is the package
	} {
		if got := variable(pkg); got != want {
			t.Errorf("variable(%q) = %q, want %q", pkg, got, want)
		}
	}
}
