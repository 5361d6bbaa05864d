package keep_test

import (
	"strings"
	"testing"
)

// TestAPublisherIsMadeWhereCodeImportsIt: it is made, with its part of the runtime, once code
// imports it, and gone when none does.
func TestAPublisherIsMadeWhereCodeImportsIt(t *testing.T) {
	const (
		shared  = "gen/shoppb/shoppublisher/publisher.go"
		ofOne   = "gen/shoppb/shoppublisher/orders.go"
		runtime = "internal/receiver-runtime/publisher/publisher.go"
	)
	h := newDisk(t, orders)
	all := func(want bool, when string) {
		t.Helper()
		for _, name := range []string{shared, ofOne, runtime} {
			if h.has(name) != want {
				t.Errorf("%s: there is %s: %v, want %v", when, name, h.has(name), want)
			}
		}
	}
	all(false, "at first")
	h.write("cmd/sell/main.go", "package main\n\nimport _ \"example.com/shop/gen/shoppb/shoppublisher\"\n")
	if _, err := h.generate(orders); err != nil {
		t.Fatal(err)
	}
	all(true, "once it is imported")
	if text := h.read(ofOne); !strings.Contains(text, `publisher.RPC{Name: "/shop.Orders/Take"`) || strings.Contains(text, "Find") {
		t.Errorf("%s is\n%s", ofOne, text)
	}
	h.remove("cmd/sell")
	files, _, err := h.dry(orders)
	if err != nil {
		t.Fatal(err)
	}
	leftovers := map[string]bool{}
	for _, file := range files {
		leftovers[file.Path] = file.Leftover
	}
	for _, name := range []string{shared, ofOne, runtime} {
		if !leftovers[name] {
			t.Errorf("no code imports the publisher, and %s stays", name)
		}
	}

	h = newDisk(t, orders)
	if _, err := h.generate(orders, "publisher=all"); err != nil {
		t.Fatal(err)
	}
	all(true, "with publisher=all")
}
