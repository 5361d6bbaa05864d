package model

import (
	"strings"
	"testing"
)

func TestDraft(t *testing.T) {
	for _, test := range []struct {
		module, service, event string
		proto, name, goPackage string
	}{
		{"example.com/orders", "", "", "orders/v1/orders.proto", "OrdersService", "example.com/orders/gen/orders/v1;ordersv1"},
		{"example.com/my-app/v2", "", "", "my_app/v1/my_app.proto", "MyAppService", "example.com/my-app/v2/gen/my_app/v1;myappv1"},
		{"github.com/x/go-thing.go", "", "", "thing/v1/thing.proto", "ThingService", "github.com/x/go-thing.go/gen/thing/v1;thingv1"},
		{"example.com/orders-service", "", "", "orders/v1/orders.proto", "OrdersService", "example.com/orders-service/gen/orders/v1;ordersv1"},
		{"gopkg.in/shop.v3", "", "", "shop/v1/shop.proto", "ShopService", "gopkg.in/shop.v3/gen/shop/v1;shopv1"},
		{"example.com/type", "", "", "type/v1/type.proto", "TypeService", "example.com/type/gen/type/v1;typev1"},
		{"github.com/x/go", "", "", "go/v1/go.proto", "GoService", "github.com/x/go/gen/go/v1;gov1"},
		{"example.com/for-windows", "", "", "for_windows/v1/for_windows_service.proto", "ForWindowsService", "example.com/for-windows/gen/for_windows/v1;forwindowsv1"},
		{"example.com/shop", "Orders", "OrderPlaced", "orders/v1/orders.proto", "OrdersService", "example.com/shop/gen/orders/v1;ordersv1"},
		{"example.com/shop", "OrdersService", "", "orders/v1/orders.proto", "OrdersService", "example.com/shop/gen/orders/v1;ordersv1"},
		{"example.com/123", "HTTPLog", "", "http_log/v1/http_log.proto", "HTTPLogService", "example.com/123/gen/http_log/v1;httplogv1"},
	} {
		p, err := Draft(test.module, test.service, test.event)
		if err != nil {
			t.Error(err)
			continue
		}
		if p.Proto != test.proto || p.Service != test.name || p.GoPackage != test.goPackage || p.Marked != (test.event != "") {
			t.Errorf("of %s %s %s it makes %s, %s, %s, marked: %t", test.module, test.service, test.event, p.Proto, p.Service, p.GoPackage, p.Marked)
		}
	}
}

func TestDraftRefusesNames(t *testing.T) {
	for _, test := range []struct{ module, service, event, want string }{
		{"example.com/123", "", "", "begins with a digit: name it with --service, such as --service Orders"},
		{"example.com/internal", "", "", "name it with --service"},
		{"example.com/con", "", "", "name it with --service"},
		{"example.com/" + strings.Repeat("long", 20), "", "", "name it with --service"},
		{"example.com/shop", "orders", "", "--service orders: want the name of a service in capitals and small letters, such as Orders"},
		{"example.com/shop", "order-intake", "", "--service order-intake: want the name of a service in capitals and small letters, such as OrderIntake"},
		{"example.com/shop", "9", "", "such as Orders"},
		{"example.com/shop", "service", "", "such as Orders"},
		{"example.com/shop", "Internal", "", "the service can't be called internal, after --service Internal: Go has"},
		{"example.com/shop", "Service", "", "--service Service: want the name of a service in capitals and small letters, such as Orders"},
		{"example.com/shop", "Order_s", "", "--service Order_s"},
		{"example.com/shop", "", "order placed", "--event order placed: want the name of a message in capitals and small letters, such as OrderPlaced"},
		{"example.com/shop", "", "PublishRequest", "--event PublishRequest: the proto has another message of this name"},
		{"example.com/shop", "", "ShopServiceClient", "--event ShopServiceClient"},
		{"example.com/shop", "", "UnimplementedShopServiceServer", "--event UnimplementedShopServiceServer"},
	} {
		if p, err := Draft(test.module, test.service, test.event); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("of %s %s %s it makes %v and the error %v, want %q in it", test.module, test.service, test.event, p, err, test.want)
		}
	}
}

func TestGoPackageFor(t *testing.T) {
	for _, test := range [][3]string{
		{"orders.v1", "orders/v1/orders.proto", "example.com/m/gen/orders/v1;ordersv1"},
		{"acme.my_shop.v1beta1", "x.proto", "example.com/m/gen/acme/my_shop/v1beta1;myshopv1beta1"},
		{"shop", "shop.proto", "example.com/m/gen/shop;shoppb"},
		{"acme.internal", "x.proto", "example.com/m/gen/acme/internal_;internalpb"},
		{"v1", "x.proto", "example.com/m/gen/v1;v1pb"},
		{"", "my-shop.proto", "example.com/m/gen/myshoppb"},
		{"", "9lives.proto", "example.com/m/gen/x9livespb"},
	} {
		if got := GoPackageFor("example.com/m", test[0], test[1]); got != test[2] {
			t.Errorf("of package %q in %s it makes %s, want %s", test[0], test[1], got, test[2])
		}
	}
}
