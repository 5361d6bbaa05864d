package keep_test

import (
	"slices"
	"strings"
	"testing"
)

// TestAServiceOfWhichNothingIsLeftIsReported, unless main says that this is meant so.
func TestAServiceOfWhichNothingIsLeftIsReported(t *testing.T) {
	const line = "internal/shop/orders: nothing implements service shop.Orders, of which an earlier run knew: run once with scaffold=all to have what is yours written again, " +
		"or pass server.Without(\"shop.Orders\") to server.Run in cmd/shop-server in its place"
	for name, test := range map[string]struct {
		change func(h disk)
		want   bool
	}{
		"all is there":          {func(disk) {}, false},
		"a file is left":        {func(h disk) { h.remove(impl); h.write(impl+"own.go", "package orders\n") }, false},
		"the folder is deleted": {func(h disk) { h.remove(impl) }, true},
		"the folder is empty":   {func(h disk) { h.remove(impl); h.write(impl+"notes.txt", "") }, true},
		"deleted before there were records": {func(h disk) {
			h.remove(impl, "internal/zz-receiver-scaffold")
			h.edit(client, "// scaffold: "+serviceRecord+"\n", "")
		}, true},
		"main does without it": {func(h disk) {
			h.remove(impl)
			h.edit(main, "server.Run(", "server.Run(server.Without(\"shop.Orders\"), ")
		}, false},
		"it was moved": {func(h disk) {
			h.write("internal/mine/service.go", strings.Replace(h.read(impl+"service.go"), "package orders", "package mine", 1))
			h.remove(impl)
			h.edit(main, "/internal/shop/orders\"", "/internal/mine\"", "orders.New", "mine.New")
		}, false},
		"the server is deleted, too": {func(h disk) { h.remove(impl, "cmd/shop-server") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			test.change(h)
			lines, err := h.generate(orders)
			if err != nil || slices.Contains(lines, line) != test.want {
				t.Errorf("it prints %q (%v)", lines, err)
			}
			if !test.want {
				return
			}
			if lines, err := h.generate(orders, "scaffold=all"); err != nil || slices.Contains(lines, line) || !h.has(impl+"take.go") {
				t.Errorf("with scaffold=all it prints %q (%v)", lines, err)
			}
		})
	}
}

// TestWhatAReleaseWithoutRecordsWroteIsKnown, so that an upgrade brings nothing back that
// was deleted.
func TestWhatAReleaseWithoutRecordsWroteIsKnown(t *testing.T) {
	h := newDisk(t, orders)
	h.remove("internal/zz-receiver-scaffold", impl+"take_test.go", main)
	h.edit(client, "// scaffold: "+serviceRecord+"\n", "")
	h.edit("cmd/shop-client/commands.go", "// scaffold: "+programRecord+"\n", "")
	for range 2 {
		if _, err := h.generate(orders); err != nil {
			t.Fatal(err)
		}
		if h.has(impl+"take_test.go") || h.has(main) || !h.has(serviceRecord) {
			t.Error("what was deleted came back, or there is no record")
		}
	}
}

// TestWithoutItsRecordWhatWasDeletedComesBack, as the record says.
func TestWithoutItsRecordWhatWasDeletedComesBack(t *testing.T) {
	h := newDisk(t, orders)
	want := h.files()
	deleted := []string{impl + "take.go", impl + "take_test.go", impl + "find_test.go", impl + "consume.go"}
	for _, again := range []bool{false, true} {
		h.remove(deleted...)
		if again {
			h.remove(serviceRecord)
		}
		if _, err := h.generate(orders); err != nil || (len(difference(want, h.files())) == 0) != again {
			t.Errorf("without its record (%t) there is another difference: %q (%v)", again, difference(want, h.files()), err)
		}
	}
}

// TestAnEmptyFileOfYoursIsWrittenAgain: nobody wants it, and it breaks the build.
func TestAnEmptyFileOfYoursIsWrittenAgain(t *testing.T) {
	h := newDisk(t, orders)
	want := h.files()
	for _, name := range []string{impl + "service.go", impl + "take.go", impl + "take_test.go", main} {
		h.write(name, "")
	}
	if lines, err := h.generate(orders); err != nil || len(difference(want, h.files())) > 0 {
		t.Errorf("it differs in %q and prints %q (%v)", difference(want, h.files()), lines, err)
	}
}
