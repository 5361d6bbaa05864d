package keep_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/keep"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // a run is short, and there are many
	os.Exit(m.Run())
}

// protos of a service that grows.
const (
	head = `syntax = "proto3";
package shop;
option go_package = "example.com/shop/gen/shoppb";
message OrderEvent { string tenant = 1; string event_type = 2; string user_id = 3; }
message Query { string id = 1; }
message Reply { string message = 1; }
`
	orders = head + `service Orders {
	rpc Take(OrderEvent) returns (Reply);
	rpc Find(Query) returns (Reply);
}
`
	withShip = head + `service Orders {
	rpc Take(OrderEvent) returns (Reply);
	rpc Find(Query) returns (Reply);
	rpc Ship(OrderEvent) returns (Reply);
}
`
)

// What a run makes of rpc Ship.
const (
	impl     = "internal/shop/orders/"
	ship     = impl + "ship.go"
	shipTest = impl + "ship_test.go"
	shipJSON = impl + "testdata/ship.json"
	client   = "gen/shoppb/shopclient/orders.go"
	main     = "cmd/shop-server/main.go"

	programRecord = model.RecordDir + "/program-shop.txt"
	serviceRecord = model.RecordDir + "/service-shop.Orders.txt"
)

// disk is a module on disk.
type disk struct {
	*testing.T
	root string
}

// newDisk is a module with what was generated from a proto.
func newDisk(t *testing.T, proto string) disk {
	t.Helper()
	h := disk{t, t.TempDir()}
	h.write("go.mod", "module example.com/shop\n")
	if _, err := h.generate(proto); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h disk) write(name, text string) {
	h.Helper()
	at := filepath.Join(h.root, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		h.Fatal(err)
	}
}

// edit replaces text in a file.
func (h disk) edit(name string, oldNew ...string) {
	h.Helper()
	text := h.read(name)
	for i := 0; i < len(oldNew); i += 2 {
		if !strings.Contains(text, oldNew[i]) {
			h.Fatalf("%s does not have %q:\n%s", name, oldNew[i], text)
		}
	}
	h.write(name, strings.NewReplacer(oldNew...).Replace(text))
}

// open opens the module's root.
func (h disk) open() *keep.Root {
	h.Helper()
	root, err := keep.OpenRoot(h.root)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { root.Close() })
	return root
}

func (h disk) read(name string) string {
	h.Helper()
	text, err := os.ReadFile(filepath.Join(h.root, name))
	if err != nil {
		h.Fatal(err)
	}
	return string(text)
}

func (h disk) has(name string) bool {
	_, err := os.Lstat(filepath.Join(h.root, name))
	return err == nil
}

func (h disk) remove(names ...string) {
	h.Helper()
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(h.root, name)); err != nil {
			h.Fatal(err)
		}
	}
}

// generate runs on a proto, and returns what is printed. Nothing may be written
// over that bears no marker, and nothing at all with an error.
func (h disk) generate(text string, options ...string) (lines []string, err error) {
	h.Helper()
	files, lines, err := h.dry(text, options...)
	for _, file := range files {
		stands, err := os.ReadFile(filepath.Join(h.root, file.Path))
		cut := len(stands) < len(file.Content) && strings.HasPrefix(string(file.Content), string(stands))
		if err == nil && !keep.Marked(file.Path, stands) && !cut {
			h.Errorf("it writes over %s, which bears no marker", file.Path)
		}
		if file.Content != nil {
			h.write(file.Path, string(file.Content))
		}
	}
	return lines, err
}

// dry is generate without the writing.
func (h disk) dry(text string, options ...string) (files []keep.File, lines []string, err error) {
	h.Helper()
	protos := h.TempDir()
	if err := os.WriteFile(filepath.Join(protos, "shop.proto"), []byte(text), 0o644); err != nil {
		h.Fatal(err)
	}
	request, err := compile.Request(context.Background(), []string{protos}, []string{"shop.proto"})
	if err != nil {
		h.Fatal(err)
	}
	request.Parameter = proto.String(strings.Join(append(options, "root="+h.root), ","))
	result, err := plugin.Run(request)
	if err != nil {
		if result != nil {
			h.Errorf("with the error %v it writes %d files", err, len(result.Files))
		}
		return nil, nil, err
	}
	for _, line := range result.Lines {
		lines = append(lines, line.Text)
	}
	return result.Files, lines, nil
}

// grow adds rpc Ship, and returns what is printed.
func (h disk) grow(options ...string) []string {
	h.Helper()
	lines, err := h.generate(withShip, options...)
	if err != nil {
		h.Fatal(err)
	}
	return lines
}

func TestANewRPCBringsItsFiles(t *testing.T) {
	all, none := []string{ship, shipTest, shipJSON}, []string(nil)
	for name, test := range map[string]struct {
		change func(h disk)
		want   []string
	}{
		"as generated":                {func(disk) {}, all},
		"a file that stands":          {func(h disk) { h.write(ship, "package orders // mine") }, none},
		"one that is a broken link":   {func(h disk) { link(h, ship) }, none},
		"implemented in another file": {func(h disk) { h.write(impl+"mine.go", "package orders\nfunc (s Service) Ship() {}") }, none},
		"implemented under a build tag": {func(h disk) {
			h.write(impl+"mine.go", "//go:build plan9\n\npackage orders\nfunc (s *Service) Ship() {}")
		}, none},
		"implemented with CRLF and byte order": {func(h disk) { h.write(impl+"mine.go", "\ufeffpackage orders\r\nfunc (s *Service) Ship() {}\r\n") }, none},
		"a method of that name in a test":      {func(h disk) { h.write(impl+"mine_test.go", "package orders\nfunc (fake) Ship() {}") }, all},
		"a function of that name":              {func(h disk) { h.write(impl+"mine.go", "package orders\nfunc Ship() {}") }, all},
		"a method of that name elsewhere":      {func(h disk) { h.write("internal/other/mine.go", "package other\nfunc (t T) Ship() {}") }, all},
		"a program behind a build tag":         {func(h disk) { h.write(impl+"gen.go", "//go:build ignore\n\npackage main\nfunc (t T) Ship() {}") }, all},
		"a lock of an editor":                  {func(h disk) { link(h, impl+".#take.go") }, all},
		"a file that Go passes over":           {func(h disk) { h.write(impl+"_old.go", "<<<<<<< HEAD") }, all},
		"a test of that name":                  {func(h disk) { h.write(impl+"mine_test.go", "package orders\nfunc TestShip() {}") }, []string{ship, shipJSON}},
		"a test of that name from outside":     {func(h disk) { h.write(impl+"mine_test.go", "package orders_test\nfunc TestShip() {}") }, all},
		"the marker in a raw string":           {func(h disk) { h.write(ship, "package orders\nvar s = `\n// "+keep.Marker+"\n`") }, none},
		"the marker after the clause":          {func(h disk) { h.write(ship, "package orders\n// "+keep.Marker) }, none},
		"the marker pasted above the clause":   {func(h disk) { h.write(ship, "// "+keep.Marker+"\n\npackage orders") }, none},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			test.change(h)
			files, lines, err := h.dry(withShip)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, file := range files {
				if strings.HasPrefix(file.Path, impl) {
					got = append(got, file.Path)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("it writes %q, want %q; it prints %q", got, test.want, lines)
			}
		})
	}
}

// TestAServiceOfAnotherNameIsNew, even if the code that is made of its messages
// is where it was.
func TestAServiceOfAnotherNameIsNew(t *testing.T) {
	h := newDisk(t, orders)
	lines, err := h.generate(strings.ReplaceAll(orders, "Orders", "Stock"))
	if err != nil || len(lines) != 3 || !strings.Contains(strings.Join(lines, "\n"), "service shop.Orders is no longer in the protos") {
		t.Errorf("it prints %q (%v)", lines, err)
	}
	for _, at := range []string{"internal/shop/stock/service.go", "internal/shop/stock/take.go"} {
		if !h.has(at) {
			t.Errorf("%s did not come", at)
		}
	}
}

// TestAServiceOfAnotherPackageIsTheSame: its code, by its former name, is to be moved,
// and until it is, none is written beside it.
func TestAServiceOfAnotherPackageIsTheSame(t *testing.T) {
	depot := strings.Replace(withShip, "package shop;", "package depot;", 1)
	moved := []string{"cmd/depot-server/main.go", "internal/depot/orders/ship.go", "internal/depot/orders/ship_test.go"}
	for name, test := range map[string]struct {
		answer func(disk) // to what is printed
		want   []string   // of yours that the next run writes
	}{
		"which is moved": {func(h disk) {
			if err := os.MkdirAll(filepath.Join(h.root, "internal/depot"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(h.root, impl), filepath.Join(h.root, "internal/depot/orders")); err != nil {
				t.Fatal(err)
			}
		}, moved},
		"which is deleted": {func(h disk) { h.remove(impl) }, slices.Concat(moved, []string{"internal/depot/orders/service.go", "internal/depot/orders/take.go"})},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			want := []string{
				"internal/shop/orders: this is the code of service depot.Orders, by its former name, so no other is written (to have another, delete this one, and run again). Move it; run:\n\tmkdir -p internal/depot && mv internal/shop/orders internal/depot/orders",
				main + ":24: it imports that code; replace this line with:\n\t\t\"example.com/shop/internal/depot/orders\"",
				"service depot.Orders: run the generator again, which then writes Ship",
				"program shop is no longer generated: delete cmd/shop-server and cmd/shop-client once you have moved what is yours there; " +
					"a program of another name finds the stored events by --events sqlite:data/shop.db",
				"event shop.OrderEvent is no longer generated: what is stored under that name is not read any longer; " +
					"if it was renamed, write \"// receiver:was=shop.OrderEvent\" above message OrderEvent (shop.proto:4:1)",
			}
			for _, want := range [][]string{want, want[:4]} { // what it empties is reported once
				if lines, err := h.generate(depot); err != nil || !slices.Equal(lines, want) || h.has("internal/depot") || h.has(moved[0]) {
					t.Fatalf("it prints %q (%v), want %q", lines, err, want)
				}
			}
			test.answer(h)
			if _, err := h.generate(depot); err != nil {
				t.Fatal(err)
			}
			for _, at := range test.want {
				if !h.has(at) {
					t.Errorf("%s did not come", at)
				}
			}
		})
	}
}

// TestStepsLeadToTheLog: what is still as generated is to be deleted, and comes again;
// what was deleted before does not, and code that has the log in its own way is left alone.
func TestStepsLeadToTheLog(t *testing.T) {
	const first = "your code was written before there were events, and does not store them all. Do these steps, in this order, and run the generator again:"
	rm := func(n, names string) []string {
		return []string{first, n + " of yours are still as generated; delete, and the next run writes what events need; run:\n\trm " + impl + strings.Join(strings.Fields(names), " "+impl)}
	}
	for name, test := range map[string]struct {
		change  func(disk)
		want    []string
		removed string // what the steps remove
		comes   map[string]string
	}{
		"an RPC of a service that has the log": {func(disk) {}, rm("4 files", "consume.go consume_test.go find.go find_test.go"), "consume.go consume_test.go find.go find_test.go",
			map[string]string{"find.go": "s.events.AppendQuery(ctx, event)", "consume.go": "shopevents.OnQuery(s.storedQuery)", "find_test.go": "checks the reply", "consume_test.go": "AppendQuery"}},
		"one that was deleted": {func(h disk) { h.remove(impl+"find.go", impl+"find_test.go") }, nil, "", nil},
		"one that its owner wrote": {func(h disk) {
			h.edit(impl+"find.go", `return nil, status.Error(codes.Unimplemented, "Find is not implemented yet")`, "return new(shoppb.Reply), nil",
				"\t\"google.golang.org/grpc/codes\"\n\t\"google.golang.org/grpc/status\"\n\n", "")
			h.edit(impl+"find_test.go", "t.Log(reply)", "t.Log(reply.GetMessage())", "b.Skip(err)", "b.Fatal(err)")
		}, []string{first, impl + "find.go:10: rpc shop.Orders.Find takes events now, and this stores none (if it should not, write // receiver:plain above the RPC, shop.proto:10:9); add below this line:\n" +
			"\t\tif _, err := s.events.AppendQuery(ctx, request); err != nil {\n\t\t\treturn nil, err\n\t\t}",
			"the lines above may not be in the form of gofmt; run:\n\tgofmt -w " + impl + "find.go", rm("2 files", "consume.go consume_test.go")[1]}, "", nil},
		"one that its owner wrote and that stores": {func(h disk) {
			h.edit(impl+"find.go", `return nil, status.Error(codes.Unimplemented, "Find is not implemented yet")`, "return s.keep(ctx, request, s.events)",
				"\t\"google.golang.org/grpc/codes\"\n\t\"google.golang.org/grpc/status\"\n\n", "")
		}, nil, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			test.change(h)
			marked := strings.Replace(orders, "message Query", "// receiver:event\nmessage Query", 1)
			for range 2 {
				if lines, err := h.generate(marked); err != nil || !slices.Equal(lines, test.want) {
					t.Fatalf("it prints (%v)\n%s\nwant\n%s", err, strings.Join(lines, "\n"), strings.Join(test.want, "\n"))
				}
			}
			for _, at := range strings.Fields(test.removed) {
				h.remove(impl + at)
			}
			lines, err := h.generate(marked)
			if test.removed != "" && (err != nil || len(lines) > 0) {
				t.Errorf("when that is done it prints %q (%v)", lines, err)
			}
			for at, text := range test.comes {
				if !strings.Contains(h.read(impl+at), text) {
					t.Errorf("%s does not have %q:\n%s", at, text, h.read(impl+at))
				}
			}
			if name == "one that was deleted" && h.has(impl+"find.go") {
				t.Error("a deleted file is back")
			}
		})
	}
}

// TestATailIsSentAnotherRequest: as generated, the sample of an RPC that was none asks for
// what comes after the first event.
func TestATailIsSentAnotherRequest(t *testing.T) {
	const sample = impl + "testdata/feed.json"
	feeding := strings.Replace(orders, "rpc Find(Query)", "rpc Feed(Query) returns (stream OrderEvent);\n\trpc Find(Query)", 1)
	tailing := strings.Replace(feeding, "rpc Feed", "// receiver:tail\n\trpc Feed", 1)
	for _, edited := range []bool{false, true} {
		h := newDisk(t, feeding)
		if edited {
			h.edit(sample, `"id": "id"`, `"id": "mine"`)
		}
		want := h.read(sample)
		lines, err := h.generate(tailing)
		if led := strings.Contains(strings.Join(lines, "\n"), sample); err != nil || led == edited {
			t.Errorf("of a sample that is edited: %t, it prints %q (%v)", edited, lines, err)
		}
		h.remove(impl+"feed.go", impl+"feed_test.go")
		if !edited {
			h.remove(sample)
			want = "{}\n"
		}
		if lines, err := h.generate(tailing); err != nil || h.read(sample) != want || !h.has(impl+"feed.go") {
			t.Errorf("when that is done, the sample is %q, want %q; it prints %q (%v)", h.read(sample), want, lines, err)
		}
	}
}

// TestStepsForServicesOfTheirOwn: the tests of a service whose New takes something are
// led to the log as others are, and events are stored after the checks of a request.
func TestStepsForServicesOfTheirOwn(t *testing.T) {
	plain := strings.NewReplacer(`string event_type = 2;`, "", `Reply { string message = 1; }`, `Reply { string message = 1; int64 position = 2; }`).Replace(orders)
	h := newDisk(t, plain)
	h.edit(impl+"service.go", "func New()", "func New(currency string)", "&Service{}", "&Service{currency: currency}",
		"Service struct {", "Service struct {\n\tcurrency string")
	h.edit(impl+"service_test.go", "return New()", `return New("EUR")`)
	h.edit(main, "orders.New()", `orders.New("EUR")`)
	const refused = "return nil, status.Error(codes.Unimplemented, \"Take is not implemented yet\")"
	h.edit(impl+"take.go", refused, `if err := check(request); err != nil {
		return nil, err
	}
	if request.GetTenant() == "" {
		return nil, status.Error(codes.InvalidArgument, "tenant is missing")
	}
	if s.currency == "" {
		return new(shoppb.Reply), nil
	}
	return new(shoppb.Reply), nil`)
	lines, err := h.generate(strings.Replace(plain, "message OrderEvent", "// receiver:event\nmessage OrderEvent", 1))
	if err != nil {
		t.Fatal(err)
	}
	printed := strings.Join(lines, "\n")
	for _, want := range []string{
		impl + "service_test.go:22-26: TestContract is still as it was generated, and must be another now; replace these lines with:\n\tfunc TestContract",
		impl + "service_test.go:16-19: serve is still as it was generated, and must be another now; replace these lines with:\n\t// serve runs",
		impl + "service_test.go:13: New takes the log now; replace this line with:\n\t\treturn New(events, \"EUR\")\n",
		impl + "take.go:19: rpc shop.Orders.Take takes events now, and this stores none (if it should not, write // receiver:plain above the RPC, shop.proto:9:9); " +
			"the receipts that AppendOrderEvent returns have what the reply says of its events; add below this line:\n\t\tif _, err := s.events.AppendOrderEvent(ctx, request); err != nil {\n",
	} {
		if !strings.Contains(printed, want) {
			t.Errorf("it does not print %q, but\n%s", want, printed)
		}
	}
}

// TestStepsForOddCode: there may be none to print, but no run fails.
func TestStepsForOddCode(t *testing.T) {
	plain := strings.ReplaceAll(orders, "string event_type = 2;", "")
	for name, change := range map[string]func(disk){
		"no body":        func(h disk) { h.edit(impl+"service.go", " {\n\treturn &Service{}\n}", "") },
		"a line comment": func(h disk) { h.edit(impl+"service.go", "func New", "//line other.go:900\nfunc New") },
		"one line":       func(h disk) { h.edit(impl+"service.go", "{\n\treturn &Service{}\n}", "{ return &Service{} }") },
		"no struct": func(h disk) {
			h.write(impl+"service.go", "package orders\n\ntype Service int\n\nfunc New() Service { return 0 }\n")
		},
		"a generic one": func(h disk) { h.edit(impl+"service.go", "type Service struct", "type Service[T any] struct") },
		"no arguments":  func(h disk) { h.edit(main, "config,\n", "config)\n\t_ = any(nil) //\n") },
		"an empty struct": func(h disk) {
			h.write(impl+"service.go", "package orders\n\ntype Service struct{}\n\nfunc New() *Service { return new(Service) }\n")
		},
		"no results": func(h disk) { h.edit(impl+"service.go", "func New", "func Reset() () {}\n\nfunc New") },
		"no receiver": func(h disk) {
			h.edit(impl+"take.go", "(s *Service)", "(*Service)", "return nil, ", "_ = 1\n\treturn nil, ")
		},
		"no names": func(h disk) {
			h.edit(impl+"take.go", "ctx context.Context, request *", "context.Context, *", "return nil, ", "_ = 1\n\treturn nil, ")
		},
		"tests without": func(h disk) {
			h.edit(impl+"service_test.go", "func newService(testing.TB) *Service {\n\treturn New()\n}", "func newService(testing.TB) *Service")
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, plain)
			change(h)
			_, err := h.generate(orders)
			if err != nil && name != "no arguments" {
				t.Error(err)
			}
		})
	}
}

// TestAMovedGoPackageIsOneLine, with the imports to change, whatever the code has of it.
func TestAMovedGoPackageIsOneLine(t *testing.T) {
	h := newDisk(t, orders)
	want := impl + "service.go:10: the go_package of shop.proto is example.com/shop/gen/storepb now, and the code imports example.com/shop/gen/shoppb. " +
		"Change these imports in internal/shop/orders/consume.go internal/shop/orders/consume_test.go internal/shop/orders/find.go internal/shop/orders/find_test.go " +
		"internal/shop/orders/service.go internal/shop/orders/service_test.go internal/shop/orders/shadow_test.go internal/shop/orders/take.go internal/shop/orders/take_test.go cmd/shop-server/main.go, and then delete gen/shoppb:\n" +
		"\t\"example.com/shop/gen/shoppb\" becomes shoppb \"example.com/shop/gen/storepb\"\n" +
		"\t\"example.com/shop/gen/shoppb/shopevents\" becomes shopevents \"example.com/shop/gen/storepb/storeevents\"\n" +
		"\t\"example.com/shop/gen/shoppb/shopserver\" becomes shopserver \"example.com/shop/gen/storepb/storeserver\"\n" +
		"\t\"example.com/shop/gen/shoppb/shoptest\" becomes shoptest \"example.com/shop/gen/storepb/storetest\""
	for range 2 {
		lines, err := h.generate(strings.Replace(orders, "gen/shoppb", "gen/storepb", 1))
		if err != nil || !slices.Equal(lines, []string{want}) {
			t.Errorf("it prints (%v)\n%s\nwant\n%s", err, strings.Join(lines, "\n"), want)
		}
	}
}

// TestANewMainCallsNothingThatIsNotThere, of code that was moved elsewhere.
func TestANewMainCallsNothingThatIsNotThere(t *testing.T) {
	h := newDisk(t, orders)
	h.remove("cmd", "internal/shop")
	h.edit(client, "source: shop.proto", "source: before.proto") // then the program is new
	h.grow()
	if text := h.read(main); !strings.Contains(text, `server.Without("shop.Orders"),`) || strings.Contains(text, "internal/shop") {
		t.Errorf("main is\n%s", text)
	}
}

func link(h disk, name string) {
	if err := os.Symlink("nowhere", filepath.Join(h.root, name)); err != nil {
		h.Fatal(err)
	}
}

func TestWhatWasDeletedStaysDeleted(t *testing.T) {
	deleted := []string{impl + "take.go", impl + "take_test.go", impl + "find.go", impl + "service_test.go", main}
	h := newDisk(t, orders)
	h.remove(deleted...)
	if _, err := h.generate(orders); err != nil {
		t.Fatal(err)
	}
	for _, name := range deleted {
		if h.has(name) {
			t.Errorf("%s came back", name)
		}
	}
	h.remove(client) // one trace is enough
	h.grow()
	for _, name := range deleted {
		if h.has(name) {
			t.Errorf("%s came back with another RPC", name)
		}
	}
	h.grow("scaffold=all")
	for _, name := range deleted {
		if !h.has(name) {
			t.Errorf("%s did not come back, though scaffold=all asked for it", name)
		}
	}
}

// TestASampleIsWrittenOnce: it comes with the skeleton of its RPC, whatever the tests
// there are, and its owner edits or deletes it.
func TestASampleIsWrittenOnce(t *testing.T) {
	const take, find, edited = impl + "testdata/take.json", impl + "testdata/find.json", "{}\n"
	h := newDisk(t, orders)
	if got, want := h.read(take), "{\n  \"tenant\": \"tenant\",\n  \"eventType\": \"event_type\",\n  \"userId\": \"user_id\"\n}\n"; got != want {
		t.Errorf("the sample is %s, want %s", got, want)
	}
	h.write(take, edited)
	h.remove(find)
	h.grow()
	if got := h.read(take); got != edited || h.has(find) || !h.has(shipJSON) {
		t.Errorf("another run makes %q of an edited sample; one that was deleted came back: %t, one of a new RPC came: %t", got, h.has(find), h.has(shipJSON))
	}
	h.grow("scaffold=all")
	if got := h.read(take); got != edited || !h.has(find) {
		t.Errorf("with scaffold=all, an edited sample is %q, and one that was deleted comes back: %t", got, h.has(find))
	}
	whole := strings.TrimSuffix(h.read(find), "\n")
	h.write(find, whole)
	h.grow("scaffold=all")
	if got := h.read(find); got != whole {
		t.Errorf("a sample without its last newline becomes %q", got)
	}
	h.write(shipJSON, h.read(shipJSON)[:5]) // protoc was killed, and had left no trace yet
	h.remove(client, impl+"ship.go", impl+"ship_test.go", serviceRecord, "gen/shoppb/shopserver/orders.go", "gen/shoppb/shoptest/orders_ship.go")
	if h.grow(); h.read(shipJSON)[len(h.read(shipJSON))-2:] != "}\n" {
		t.Errorf("what was cut off stays so: %q", h.read(shipJSON))
	}
}

// TestASampleThatNoLongerFitsIsReported, until its owner has changed it.
func TestASampleThatNoLongerFitsIsReported(t *testing.T) {
	h := newDisk(t, orders)
	renamed := strings.Replace(orders, "string user_id = 3", "string customer_id = 3", 1)
	const want = `internal/shop/orders/testdata/take.json:4:3: unknown field "userId": tests send this to rpc shop.Orders.Take: change it`
	for range 2 {
		lines, err := h.generate(renamed)
		if err != nil || !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("it prints %q (%v), want %q", lines, err, want)
		}
	}
	h.edit(impl+"testdata/take.json", "userId", "customerId")
	if lines, err := h.generate(renamed); err != nil || strings.Contains(strings.Join(lines, "\n"), "take.json") {
		t.Errorf("once it fits, it prints %q (%v)", lines, err)
	}
}

// TestASampleIsOfAnImplementationHere: there is none for an RPC that has no skeleton.
func TestASampleIsOfAnImplementationHere(t *testing.T) {
	h := newDisk(t, orders)
	h.remove(impl)
	h.grow()
	if h.has(shipJSON) {
		t.Error("there is a sample in a folder without an implementation")
	}
}

// TestAnOldMainIsToldWhatItsNewManifestsNeed: their server would not start, with flags
// that its main does not have.
func TestAnOldMainIsToldWhatItsNewManifestsNeed(t *testing.T) {
	const rest = `; add it as https://github.com/protoc-gen-receiver/protoc-gen-receiver/blob/main/docs/upgrading.md says under "What main gets", or take it out of those files`
	without := func(h disk, names ...string) {
		var kept strings.Builder
		for line := range strings.Lines(h.read(main)) {
			if !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(line, name) }) {
				kept.WriteString(line)
			}
		}
		h.write(main, kept.String())
	}
	for name, test := range map[string]struct {
		change func(disk)
		want   []string
	}{
		"all is there":     {func(disk) {}, nil},
		"an old main":      {func(h disk) { without(h, `/web"`, `/ops"`, `/metrics"`, `/guard"`) }, []string{main + ":46: the new files in deploy/shop-server need what this main does not have: --keys (package guard), --ops-addr (package ops), --http-addr (package web), metrics (package metrics)" + rest}},
		"no metrics":       {func(h disk) { without(h, `/metrics"`, "meter") }, []string{main + ":49: the new files in deploy/shop-server need what this main does not have: metrics (package metrics)" + rest}},
		"flags of its own": {func(h disk) { without(h, `/ops"`); h.edit(main, "server.Parse(", "parse(") }, nil},
		"no main":          {func(h disk) { h.remove(main) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			test.change(h)
			h.remove("deploy")
			if lines, err := h.generate(orders, "scaffold=all"); err != nil || !slices.Equal(lines, test.want) || !h.has("deploy/shop-server/Dockerfile") {
				t.Errorf("it prints %q (%v), want %q", lines, err, test.want)
			}
		})
	}
}

// TestASkeletonFitsTheCodeItJoins: whatever its owner calls things.
func TestASkeletonFitsTheCodeItJoins(t *testing.T) {
	service := impl + "service.go"
	rename := func(oldNew ...string) func(disk) {
		return func(h disk) {
			h.edit(service, oldNew...)
			h.remove(impl+"take.go", impl+"find.go", impl+"consume.go")
		}
	}
	method := func(text string) func(disk) {
		return func(h disk) {
			h.remove(impl+"take.go", impl+"find.go", impl+"consume.go")
			h.write(impl+"own.go", "package orders\n"+text)
		}
	}
	const event = "func (s *Service) Ship(ctx context.Context, event *shoppb.OrderEvent) (*shoppb.Reply, error) {\n\tif _, err := s.events.AppendOrderEvent(ctx, event)"
	for name, test := range map[string]struct {
		change func(disk)
		want   string // in ship.go; "" if that is withheld
		lines  string
	}{
		"as generated":       {func(disk) {}, event, ""},
		"another receiver":   {method("func (svc *Service) own() {}"), strings.NewReplacer("(s *", "(svc *", "s.events", "svc.events").Replace(event), ""},
		"a receiver of Go's": {method("func (nil *Service) own() {}"), event, ""},
		"a receiver in use":  {method("func (err *Service) own() {}"), event, ""},
		"a value":            {method("func (s Service) own() {}"), strings.Replace(event, "*Service", "Service", 1), ""},
		"another type":       {rename("Service", "Receiver"), strings.Replace(event, "*Service", "*Receiver", 1), ""},
		"a generic type":     {rename("type Service struct", "type Service[K comparable, V any] struct"), strings.Replace(event, "*Service", "*Service[K, V]", 1), ""},
		"another field":      {rename("events *", "log *"), strings.Replace(event, "s.events", "s.log", 1), ""},
		"an embedded log":    {rename("events *shopevents", "*shopevents"), strings.Replace(event, "s.events", "s.Log", 1), ""},
		"no log":             {rename("\tevents *shopevents.Log\n", ""), "status.Error(codes.Unimplemented", ""},
		"another package":    {func(h disk) { rename("package orders", "package selling")(h); h.remove(impl + "service_test.go") }, "package selling\n", ship + "?"},
		"nothing there":      {func(h disk) { h.remove(service, impl+"take.go", impl+"find.go", impl+"consume.go") }, "", "ship.go: not written, because nothing in internal/shop/orders implements shop.Orders: write Ship where its implementation is now"},
		"a field like it":    {rename("events *", "Ship, events *"), "", "ship.go: not written, because Service has a field Ship"},
		"a brought method":   {rename("\tevents ", "\tbase\n\tevents "), "", "ship.go: not written, because Service embeds base, which may have the method Ship"},
		"one by a base": {func(h disk) {
			rename("\tevents ", "\tbase\n\tevents ")(h)
			h.write(impl+"base.go", "package orders\ntype base struct{}\nfunc (base) Ship() {}")
		}, "", "ship.go: not written, because Service embeds base, which has the method Ship, and so has UnimplementedOrdersServer: write the method that is meant"},
		"one by an interface": {func(h disk) {
			rename("\tevents ", "\tbase\n\tevents ")(h)
			h.write(impl+"base.go", "package orders\ntype base interface{ inner }\ntype inner interface { Ship() }")
		}, "", "ship.go: not written, because Service embeds base, which has the method Ship"},
		"a base without it": {func(h disk) {
			rename("\tevents ", "\t*base\n\tevents ")(h)
			h.write(impl+"base.go", "package orders\nimport \"sync\"\ntype base struct{ sync.Mutex }\nfunc (base) Sink() {}")
		}, event, ""},
		"one by a generic base": {func(h disk) {
			rename("\tevents ", "\tbase[string, *keyed[int]]\n\tevents ")(h)
			h.write(impl+"base.go", "package orders\ntype base[K comparable, V any] struct{ *keyed[K] }\ntype keyed[K comparable] struct{}\nfunc (keyed[K]) Ship() {}")
		}, "", "ship.go: not written, because Service embeds base, which has the method Ship"},
		"one from elsewhere": {rename("\tevents ", "\tother.Base\n\tevents ", "import (", "import (\n\t\"example.org/other\""), "", "ship.go: not written, because Service embeds Base, which may have the method Ship"},
		"one in the tests":   {func(h disk) { h.write(impl+"own_test.go", "package orders\nfunc (s *Service) Ship() {}") }, "", "ship.go: not written, because internal/shop/orders/own_test.go declares the method in tests"},
		"a taken name of Go": {func(h disk) { h.write(impl+"own.go", "package orders\ntype error int") }, "", "ship.go: not written, because your package declares error, and the file means Go's own"},
		"a taken import":     {func(h disk) { h.write(impl+"own.go", "package orders\nvar context = 1") }, "", "ship.go: not written, because your package declares context, and the file would import a package of that name"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			test.change(h)
			lines := strings.Join(h.grow(), "\n")
			switch {
			case test.want == "" && h.has(ship):
				t.Errorf("it wrote\n%s", h.read(ship))
			case test.want != "" && !h.has(ship):
				t.Errorf("it wrote nothing, and prints %s", lines)
			case test.want != "" && !strings.Contains(h.read(ship), test.want):
				t.Errorf("it wrote\n%s\nwant in it\n%s", h.read(ship), test.want)
			case !strings.HasSuffix(test.lines, "?") && !strings.Contains(lines, test.lines):
				t.Errorf("it prints %q, want %q", lines, test.lines)
			case test.lines == "" && lines != "":
				t.Errorf("it prints %q without need", lines)
			}
			if test.want == "" && h.has(shipTest) {
				t.Errorf("a test came without its skeleton")
			}
		})
	}
}

// TestAFileInTheWay: one that exists where a skeleton would be is left alone, and
// that it does not implement the RPC is reported, once.
func TestAFileInTheWay(t *testing.T) {
	const lines = ship + ": not written, because the file exists and does not implement rpc shop.Orders.Ship: write Ship"
	for name, test := range map[string]struct {
		change func(disk)
		want   []string
	}{
		"without it":      {func(h disk) { h.write(ship, "package orders\n\nvar mine = 1\n") }, []string{lines}},
		"with it":         {func(h disk) { h.write(ship, "package orders\n\nfunc (s *Service) Ship() {}\n") }, nil},
		"of another type": {func(h disk) { h.write(ship, "package orders\n\ntype base int\n\nfunc (base) Ship() {}\n") }, nil},
		"beside one that has it": {func(h disk) {
			h.write(ship, "package orders\n")
			h.write(impl+"mine.go", "//go:build plan9\n\npackage orders\n\nfunc (s *Service) Ship() {}\n")
		}, nil},
		"where none would fit": {func(h disk) {
			h.write(ship, "package orders\n")
			h.edit(impl+"service.go", "events *", "Ship, events *")
		}, []string{ship + ": not written, because Service has a field Ship, and a method can't have the same name: rename the field, and write the method"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			test.change(h)
			stood := h.read(ship)
			lines := h.grow()
			lines = slices.DeleteFunc(lines, func(line string) bool { return !strings.HasPrefix(line, ship+": ") })
			if !slices.Equal(lines, test.want) {
				t.Errorf("it prints %q, want %q", lines, test.want)
			}
			if h.read(ship) != stood || h.has(shipTest) {
				t.Errorf("it wrote, a test %t:\n%s", h.has(shipTest), h.read(ship))
			}
			for _, line := range h.grow() {
				if strings.Contains(line, "not written") {
					t.Errorf("it prints again %q", line)
				}
			}
		})
	}
}

// TestATestOfConsumingFitsTheTestsItJoins: it calls newService of
// service_test.go, or is left out.
func TestATestOfConsumingFitsTheTestsItJoins(t *testing.T) {
	const file, consumeTest = impl + "service_test.go", impl + "consume_test.go"
	for name, test := range map[string]struct {
		change func(disk)
		writes bool
	}{
		"as generated":                            {func(disk) {}, true},
		"where both are deleted":                  {func(h disk) { h.remove(file) }, true},
		"in another file":                         {func(h disk) { h.write(impl+"own_test.go", h.read(file)); h.write(file, "package orders\n") }, true},
		"of another name":                         {func(h disk) { h.edit(file, "newService(", "start(") }, false},
		"with another signature":                  {func(h disk) { h.edit(file, "newService(_ testing.TB, events", "newService(events") }, false},
		"that returns no pointer":                 {func(h disk) { h.edit(file, ") *Service {", ") Service {", "return New(", "return *New(") }, true},
		"that returns what has no method Consume": {func(h disk) { h.edit(file, ") *Service {", ") shoppb.OrdersServer {") }, false},
		"declared where none fits":                {func(h disk) { h.write(impl+"own_test.go", "package orders\n\nfunc serve() {}\n"); h.remove(file) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			h.remove(consumeTest)
			test.change(h)
			lines, err := h.generate(orders, "scaffold=all")
			if err != nil {
				t.Fatal(err)
			}
			withheld := slices.ContainsFunc(lines, func(line string) bool {
				return strings.HasPrefix(line, consumeTest+": not written, because the tests here have no func newService")
			})
			if h.has(consumeTest) != test.writes || withheld == test.writes {
				t.Errorf("it wrote it: %t, and prints %q", h.has(consumeTest), lines)
			}
		})
	}
}

// TestATestFitsTheTestsItJoins: it calls serve of service_test.go, or is left out.
func TestATestFitsTheTestsItJoins(t *testing.T) {
	test := impl + "service_test.go"
	for name, change := range map[string]func(disk){
		"deleted":             func(h disk) { h.remove(test) },
		"of another name":     func(h disk) { h.edit(test, "func serve(", "func start(") },
		"with more arguments": func(h disk) { h.edit(test, "func serve(t testing.TB)", "func serve(t testing.TB, n int)") },
		"for tests alone":     func(h disk) { h.edit(test, "func serve(t testing.TB)", "func serve(t *testing.T)") },
		"without the log":     func(h disk) { h.edit(test, "(shoppb.OrdersClient, *shopevents.Log)", "shoppb.OrdersClient") },
		"from outside":        func(h disk) { h.edit(test, "package orders", "package orders_test") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			change(h)
			lines := strings.Join(h.grow(), "\n")
			if !h.has(ship) || h.has(shipTest) || !strings.Contains(lines, "ship_test.go: not written, because the tests here have no func serve") {
				t.Errorf("skeleton %t, test %t, and it prints %q", h.has(ship), h.has(shipTest), lines)
			}
		})
	}
}

// TestANewMainFitsItsServices: it calls the function that makes them.
func TestANewMainFitsItsServices(t *testing.T) {
	for name, test := range map[string]struct{ old, new, want, newService string }{
		"as generated":   {"", "", "ordersService := orders.New(shopevents.New(log))\n", ") *Service {"},
		"another name":   {"func New(", "func NewOrders(", "ordersService := orders.NewOrders(shopevents.New(log))\n", ") *Service {"},
		"without a log":  {"New(events *shopevents.Log)", "New()", "ordersService := orders.New()\n", ") *Service {"},
		"with options":   {"New(events *shopevents.Log)", "New(events *shopevents.Log, names ...string)", "ordersService := orders.New(shopevents.New(log))\n", ") *Service {"},
		"options alone":  {"New(events *shopevents.Log)", "New(names ...string)", "ordersService := orders.New()\n", ") *Service {"},
		"a value":        {"*Service {", "Service {", "ordersService := orders.New(shopevents.New(log))\n", ") Service {"},
		"an interface":   {"*Service {", "shoppb.OrdersServer {", "shopserver.Orders(orders.New(shopevents.New(log))),\n", ") shoppb.OrdersServer {"},
		"more arguments": {"New(events *shopevents.Log)", "New(events *shopevents.Log, db int)", `server.Without("shop.Orders"),`, ""},
		"with an error":  {"*Service {", "(*Service, error) {", `server.Without("shop.Orders"),`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			h.edit(impl+"service.go", test.old, test.new)
			h.remove(main, impl+"service_test.go")
			lines := strings.Join(h.grow("scaffold=all"), "\n")
			if !strings.Contains(h.read(main), test.want) {
				t.Errorf("main is\n%s\nwant in it %s", h.read(main), test.want)
			}
			fits := !strings.Contains(test.want, "Without")
			if engines := strings.Contains(h.read(main), "shopevents\"\n"); !engines { // or Open would know no URL
				t.Errorf("main does not import the engines:\n%s", h.read(main))
			}
			if h.has(impl+"service_test.go") != fits || strings.Contains(lines, "service_test.go: not written") == fits {
				t.Errorf("service_test.go: %t, and it prints %q", h.has(impl+"service_test.go"), lines)
			}
			if fits && !strings.Contains(h.read(impl+"service_test.go"), test.newService) {
				t.Errorf("service_test.go is\n%s\nwant in it %s", h.read(impl+"service_test.go"), test.newService)
			}
		})
	}
}

// TestANewMainOfServicesThatNothingImplements: their code was deleted, and so
// was all of the program.
func TestANewMainOfServicesThatNothingImplements(t *testing.T) {
	h := newDisk(t, orders)
	h.remove(impl, "cmd")
	h.edit(client, "source: shop.proto", "source: before.proto") // then the program is new
	if _, err := h.generate(orders); err != nil {
		t.Fatal(err)
	}
	if text := h.read(main); !strings.Contains(text, `server.Without("shop.Orders"),`) || strings.Contains(text, "internal/shop") {
		t.Errorf("main is\n%s", text)
	}
}

func TestOursIsWrittenUnlessTakenOver(t *testing.T) {
	const marker = "// " + keep.Marker + "\n\n"
	for name, test := range map[string]struct {
		stands string
		taken  bool
	}{
		"with the marker":                      {marker + "package shopclient", false},
		"with the marker and CRLF":             {strings.ReplaceAll(marker, "\n", "\r\n") + "package shopclient\r\n", false},
		"with a comment before the marker":     {"// Copyright\n\n" + marker + "package shopclient", false},
		"with conflicts below":                 {marker + "package shopclient\n<<<<<<< HEAD\n=======", false},
		"without the marker":                   {"package shopclient", true},
		"with the marker after the clause":     {"package shopclient\n" + marker, true},
		"with the marker in a raw string":      {"package shopclient\nvar s = `\n" + marker + "`", true},
		"with the marker of another generator": {"// Code generated by another. DO NOT EDIT.\n\npackage shopclient", true},
		"with the marker inside a line":        {"// See " + keep.Marker + "\n\npackage shopclient", true},
		"empty":                                {"", false},
		"cut off in the marker":                {marker[:20], false},
		"cut off after the marker":             {strings.TrimSuffix(marker, "\n") + "// source: shop.pro", false},
		"cut off in the package clause":        {strings.TrimSuffix(marker, "\n") + "// source: shop.proto, service shop.Orders\n// scaffold: " + serviceRecord + "\n\npack", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			h.write(client, test.stands)
			lines, err := h.generate(orders)
			if err != nil || (h.read(client) == test.stands) != test.taken {
				t.Errorf("it left (%v)\n%s", err, h.read(client))
			}
			if test.taken != slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, client+": left alone, because it is yours now") }) {
				t.Errorf("it prints %q", lines)
			}
		})
	}
}

func TestWhatCannotBeReadFailsTheRun(t *testing.T) {
	for name, test := range map[string]struct {
		change func(disk)
		want   string
	}{
		"conflicts in yours":         {func(h disk) { h.write(impl+"broken.go", "package orders\n<<<<<<< HEAD\n") }, impl + "broken.go:2:1"},
		"conflicts above the marker": {func(h disk) { h.edit(client, "// Code", "<<<<<<< HEAD\n// Code") }, client + ":1:1"},
		"a folder in ours's place":   {func(h disk) { h.remove(client); h.write(client+"/x", "") }, client},
		"yours linked to nowhere":    {func(h disk) { link(h, impl+"x.go") }, impl + "x.go: a broken link"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			test.change(h)
			lines, err := h.generate(withShip)
			if len(lines) > 0 {
				t.Errorf("it fails, and prints %q", lines)
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(name, "folder") && !strings.Contains(err.Error(), "Nothing was written") {
				t.Errorf("the error is %v, want %s in it", err, test.want)
			}
		})
	}
	h := newDisk(t, orders)
	h.write(impl+"broken.go", "package orders\n<<<<<<< HEAD\n")
	if _, err := h.generate(withShip); err == nil || strings.Count(err.Error(), "broken.go") != 1 {
		t.Errorf("one cause is not reported once: %v", err)
	}
	h.remove(main)
	if _, err := h.generate(orders, "scaffold=all"); err == nil || !strings.Contains(err.Error(), impl+"broken.go:2:1") {
		t.Errorf("a main is written though nobody knows what makes its services: %v", err)
	}
	// Where nothing is to be decided on it, it is only reported.
	h = newDisk(t, orders)
	h.write(impl+"broken.go", "package orders\n<<<<<<< HEAD\n")
	lines, err := h.generate(orders)
	if err != nil || len(lines) != 1 || !strings.HasPrefix(lines[0], impl+"broken.go:2:1: ") {
		t.Errorf("it prints %q (%v)", lines, err)
	}
}

// TestDriftIsReported: a line for each thing of yours that the proto has left.
func TestDriftIsReported(t *testing.T) {
	type change = func(disk) string // and the proto
	proto := func(oldNew ...string) change {
		return func(disk) string { return strings.NewReplacer(oldNew...).Replace(orders) }
	}
	for name, test := range map[string]struct {
		change change
		want   []string
	}{
		"nothing":       {proto(), nil},
		"a removed RPC": {proto("rpc Find(Query) returns (Reply);", ""), []string{impl + "find.go:13: Find looks like an RPC, but service shop.Orders has no RPC of that name: nothing calls it"}},
		"a renamed RPC": {proto("rpc Find(", "rpc Search("), []string{impl + "find.go:13: Find looks like an RPC, but service shop.Orders has no RPC of that name: nothing calls it (if the RPC is now called Search, rename the method and delete the new file that implements it; older clients call the old name: it may stay in the proto beside the new one)"}},
		"a renamed stream": {func(h disk) string {
			follow := strings.Replace(orders, "\trpc Find(", "\trpc Follow(Query) returns (stream Reply);\n\trpc Find(", 1)
			if _, err := h.generate(follow); err != nil {
				t.Fatal(err)
			}
			return strings.Replace(follow, "rpc Follow(", "rpc Watch(", 1)
		}, []string{impl + "follow.go:11: Follow looks like an RPC, but service shop.Orders has no RPC of that name: nothing calls it (if the RPC is now called Watch, rename the method and delete the new file that implements it; older clients call the old name: it may stay in the proto beside the new one)"}},
		"a new service with events": {func(disk) string { return orders + "service Stock { rpc Count(OrderEvent) returns (Reply); }" }, []string{main + `:70: service shop.Stock is not served: write stockService := stock.New(shopevents.New(log)), and pass shopserver.Stock(stockService) and server.Alongside("consumer shop.Stock", stockService.Consume) to server.Run, or server.Without("shop.Stock")`}},
		"a new service whose name is taken in main": {func(h disk) string {
			h.edit(main, "ordersService", "stockService")
			return orders + "service Stock { rpc Count(OrderEvent) returns (Reply); }"
		}, []string{main + `:70: service shop.Stock is not served: write stockService2 := stock.New(shopevents.New(log)), and pass shopserver.Stock(stockService2) and server.Alongside("consumer shop.Stock", stockService2.Consume) to server.Run, or server.Without("shop.Stock")`}},
		"other types": {proto("rpc Find(Query)", "rpc Find(Reply)"), []string{impl + "find.go:13: Find has the signature func(context.Context, *shoppb.Query) (*shoppb.Reply, error), but rpc Find needs func(context.Context, *shoppb.Reply) (*shoppb.Reply, error)",
			impl + `testdata/find.json:2:3: unknown field "id": tests send this to rpc shop.Orders.Find: change it, or delete the file to have them send a value in every field`}},
		"an RPC that another service has now": {func(h disk) string {
			two := orders + "service Stock {\n\trpc Count(Query) returns (Reply);\n}\n"
			for _, text := range []string{orders, two} {
				if _, err := h.generate(text); err != nil {
					t.Fatal(err)
				}
			}
			h.edit(main, "config,\n", "config, server.Without(\"shop.Stock\"),\n")
			find := "\trpc Find(Query) returns (Reply);\n"
			return strings.Replace(strings.Replace(two, find, "", 1), "Stock {\n", "Stock {\n"+find, 1)
		}, []string{impl + "find.go:13: Find looks like an RPC, but service shop.Orders has no RPC of that name: nothing calls it"}},
		"an RPC of another service that the type implements, too": {func(h disk) string {
			h.edit(impl+"service.go", "shoppb.UnimplementedOrdersServer", "shoppb.UnimplementedOrdersServer\n\tshoppb.UnimplementedStockServer")
			h.edit(main, "config,\n", "config, server.Without(\"shop.Stock\"),\n")
			return strings.Replace(orders, "\trpc Find(Query) returns (Reply);\n", "", 1) + "service Stock { rpc Find(Query) returns (Reply); }"
		}, nil},
		"a stream":      {proto("returns (Reply);\n}", "returns (stream Reply);\n}"), []string{impl + "find.go:13: Find has the signature func(context.Context, *shoppb.Query) (*shoppb.Reply, error), but rpc Find needs func(*shoppb.Query, shoppb.Orders_FindServer) error"}},
		"a new service": {func(disk) string { return orders + "service Stock { rpc Count(Query) returns (Reply); }" }, []string{main + `:70: service shop.Stock is not served: pass shopserver.Stock(stock.New()) to server.Run, or server.Without("shop.Stock")`}},
		"one refused": {func(h disk) string {
			h.edit(main, "config,\n", "config, server.Without(\"shop.Stock\"),\n")
			return orders + "service Stock { rpc Count(Query) returns (Reply); }"
		}, nil},
		"a newService that returns the interface": {func(h disk) string {
			h.edit(impl+"service_test.go", ") *Service {", ") shoppb.OrdersServer {")
			return orders
		}, nil},
		"a newService that returns another type": {func(h disk) string {
			h.edit(impl+"service_test.go", ") *Service {", ") audited {")
			return orders
		}, nil},
		"a newService that returns another interface": {func(h disk) string {
			h.edit(impl+"service_test.go", ") *Service {", ") old.OrdersServer {", "\"testing\"\n", "\"testing\"\n\n\t\"example.com/old\"\n")
			return orders
		}, []string{impl + "service_test.go:16: newService has the signature func(testing.TB, *shopevents.Log) old.OrdersServer, but the contract needs func(testing.TB, *shopevents.Log) shoppb.OrdersServer"}},
		"a main that can't be read": {func(h disk) string {
			h.write(main, "package main\n\n<<<<<<< ours\n")
			return orders + "service Stock { rpc Count(Query) returns (Reply); }"
		}, []string{main + ":3:1: expected declaration, found '<<': it is not known whether the program in cmd/shop-server serves all services"}},
		"served elsewhere": {func(h disk) string {
			h.write(main, "package main\n\nfunc main() {}\n")
			return orders + "service Stock { rpc Count(Query) returns (Reply); }"
		}, nil},
		"without events from now on": {func(h disk) string { return strings.ReplaceAll(orders, "OrderEvent", "Order") }, []string{
			`event shop.OrderEvent is no longer generated: what is stored under that name is not read any longer; if it was renamed, write "// receiver:was=shop.OrderEvent" above its message, and before you run this again restore gen/shoppb/shoptest/order_event_schemas_test.go, which has what these events are`,
			impl + "service_test.go:14: newService has the signature func(testing.TB, *shopevents.Log) *Service, but the contract needs func(testing.TB) *Service",
			impl + "take.go:10: Take has the signature func(context.Context, *shoppb.OrderEvent) (*shoppb.Reply, error), but rpc Take needs func(context.Context, *shoppb.Order) (*shoppb.Reply, error)",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			lines, err := h.generate(test.change(h))
			slices.Sort(lines)
			if err != nil || !slices.Equal(lines, test.want) {
				t.Errorf("it prints (%v)\n%s\nwant\n%s", err, strings.Join(lines, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// TestDriftIsReportedInTheWordsOfTheFile: by the names that it has for packages, or
// they have for themselves.
func TestDriftIsReportedInTheWordsOfTheFile(t *testing.T) {
	named := strings.Replace(orders, "gen/shoppb", "gen/shop/v1;shopv1", 1)
	const find = "Find has the signature func(context.Context, *%.Query) (*%.Reply, error), but rpc Find needs func(context.Context, *%.Reply) (*%.Reply, error)"
	for as, change := range map[string]func(disk){
		"shopv1": func(disk) {},
		"pb":     func(h disk) { h.edit(impl+"find.go", "shopv1", "pb") },
		"v1":     func(h disk) { h.edit(impl+"find.go", `shopv1 "`, `v1 "`, "shopv1.", "v1.") },
	} {
		h := newDisk(t, named)
		h.remove(impl + "testdata")
		change(h)
		lines, err := h.generate(strings.Replace(named, "Find(Query)", "Find(Reply)", 1))
		want := impl + "find.go:13: " + strings.ReplaceAll(find, "%", as)
		if err != nil || !slices.Equal(lines, []string{want}) {
			t.Errorf("it prints %q (%v), want %q", lines, err, want)
		}
	}
}

// TestUnwritableFilesAreNamed before one is written, in a line for each cause.
func TestUnwritableFilesAreNamed(t *testing.T) {
	h := newDisk(t, orders)
	h.write("folder.go/x", "")
	files := []keep.File{{Path: client}, {Path: "new/new.go"}, {Path: "folder.go"}, {Path: "go.mod/new.go"}, {Path: "go.mod/newer.go"}}
	err := keep.Unwritable(h.open(), files)
	if err == nil || !strings.Contains(err.Error(), "folder.go can't be written: a folder is there") || !strings.Contains(err.Error(), "go.mod/new.go can't be written: go.mod is a file, but it must be a folder: move it away (and 1 more: go.mod/newer.go)\n") || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("the error is %v", err)
	}
	if err := keep.Unwritable(h.open(), files[:2]); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(h.root, ".*")); h.has("new") || len(left) > 0 {
		t.Errorf("it left %q", left)
	}
}

// reading is what the commands of a client have that read events from the standard input.
var reading = []string{"internal/receiver-runtime/command/input.go", "internal/receiver-runtime/command/progress.go", "internal/receiver-runtime/command/reading.go"}

// proving is what proves that a program keeps its events.
var proving = func() (files []string) {
	for _, name := range []string{"child", "disk_linux", "disk_other", "load", "process", "prove", "rpc", "verdict"} {
		files = append(files, "internal/receiver-runtime/prove/"+name+".go")
	}
	return files
}()

// implemented is what that needs of the package servertest.
var implemented = []string{"internal/receiver-runtime/servertest/implemented.go"}

// TestWhatIsNoLongerMade: files of ours become empty packages, and others stay.
func TestWhatIsNoLongerMade(t *testing.T) {
	find := "gen/shoppb/shoptest/orders_find.go"
	events := []string{"gen/shoppb/shopevents/order_event.go", "gen/shoppb/shoptest/order_event_schemas_test.go", "gen/shoppb/shoptest/order_event.go"}
	commands := []string{"cmd/shop-client/orders_commands.go"}
	records := []string{programRecord, serviceRecord}
	proof := []string{"cmd/shop-server/prove_test.go"}
	consumer := "gen/shoppb/shoptest/orders_consumer.go"
	services := []string{client, "gen/shoppb/shopserver/orders.go", "gen/shoppb/shoptest/orders.go", consumer, "gen/shoppb/shoptest/orders_fake.go", find, "gen/shoppb/shoptest/orders_take.go"}
	shared := []string{"gen/shoppb/shopclient/client.go", "gen/shoppb/shopevents/consume.go", "gen/shoppb/shopevents/engines.go", "gen/shoppb/shopevents/log.go", "gen/shoppb/shopserver/server.go", "gen/shoppb/shoptest/server.go"}
	old := "internal/receiver-runtime/eventlog/old.go"
	older := "internal/receiver-runtime/gauges/gauges.go"
	foreign := "gen/shoppb/shopclient/others.go"
	for name, test := range map[string]struct {
		change func(disk) string
		gone   []string
	}{
		"nothing":   {func(disk) string { return orders }, nil},
		"of an RPC": {func(disk) string { return strings.Replace(orders, "rpc Find(Query) returns (Reply);", "", 1) }, []string{find, "internal/receiver-runtime/servertest/together.go"}},
		"of an older runtime": {func(h disk) string {
			h.write(old, "// "+keep.Marker+"\n\npackage eventlog\n\nfunc Open() {}\n")
			h.write(older, "// "+keep.Marker+"\n\npackage gauges\n")
			return orders
		}, []string{old, older}},
		"of yours there": {func(h disk) string { h.write(old, "package eventlog\n\nfunc Mine() {}\n"); return orders }, nil},
		"of another proto whose messages stand": {func(h disk) string {
			h.write(foreign, "// "+keep.Marker+"\n// source: other.proto, service shop.Others\n\npackage shopclient\n\nimport \"example.com/shop/gen/shoppb\"\n")
			h.write("gen/shoppb/other.pb.go", "// Code generated by protoc-gen-go. DO NOT EDIT.\n// source: other.proto\n\npackage shoppb\n")
			return orders
		}, nil},
		"of another proto whose messages are gone": {func(h disk) string {
			h.write(foreign, "// "+keep.Marker+"\n// source: other.proto, service shop.Others\n\npackage shopclient\n\nimport \"example.com/shop/gen/shoppb\"\n")
			h.write("gen/shoppb/shop.pb.go", "// Code generated by protoc-gen-go. DO NOT EDIT.\n// source: shop.proto\n\npackage shoppb\n")
			return orders
		}, []string{foreign}},
		"of another proto whose RPCs take messages of a run's": {func(h disk) string {
			h.write("cmd/depot-client/others_commands.go", "// "+keep.Marker+"\n// source: other.proto, service depot.Others\n\npackage main\n\nimport (\n\t\"example.com/shop/gen/depotpb/depotclient\"\n\t\"example.com/shop/gen/shoppb\"\n)\n")
			h.write("gen/shoppb/shop.pb.go", "// Code generated by protoc-gen-go. DO NOT EDIT.\n// source: shop.proto\n\npackage shoppb\n")
			h.write("gen/depotpb/other.pb.go", "// Code generated by protoc-gen-go. DO NOT EDIT.\n// source: other.proto\n\npackage depotpb\n")
			return orders
		}, nil},
		"of another proto that takes messages of nobody's and is gone": {func(h disk) string {
			h.write("cmd/depot-client/others_commands.go", "// "+keep.Marker+"\n// source: other.proto, service depot.Others\n\npackage main\n\nimport \"example.com/shop/gen/shoppb/shopclient\"\n")
			h.write("gen/shoppb/shop.pb.go", "// Code generated by protoc-gen-go. DO NOT EDIT.\n// source: shop.proto\n\npackage shoppb\n")
			return orders
		}, []string{"cmd/depot-client/others_commands.go"}},
		"of another proto of the same name": {func(h disk) string {
			h.write("cmd/depot-client/others_commands.go", "// "+keep.Marker+"\n// source: shop.proto, service depot.Others\n\npackage main\n\nimport \"example.com/shop/gen/depotpb/depotclient\"\n")
			h.write("gen/depotpb/depotclient/client.go", "// "+keep.Marker+"\n\npackage depotclient\n")
			h.write("gen/depotpb/shop.pb.go", "// Code generated by protoc-gen-go. DO NOT EDIT.\n// source: shop.proto\n\npackage depotpb\n")
			return orders
		}, nil},
		"of another proto of the same name whose code is gone": {func(h disk) string {
			h.write("cmd/depot-client/others_commands.go", "// "+keep.Marker+"\n// source: shop.proto, service depot.Others\n\npackage main\n\nimport \"example.com/shop/gen/depotpb/depotclient\"\n")
			return orders
		}, []string{"cmd/depot-client/others_commands.go"}},
		"of another proto of the same name for another module's messages": {func(h disk) string {
			h.write("gen/depotclient/others.go", "// "+keep.Marker+"\n// source: shop.proto, service depot.Others\n\npackage depotclient\n\nimport \"example.com/depot/depotpb\"\n")
			h.write("gen/depotclient/client.go", "// "+keep.Marker+"\n\npackage depotclient\n")
			return strings.NewReplacer("package shop;\n", "", "example.com/shop/gen/", "example.com/other/").Replace(orders)
		}, nil},
		"of the last service":               {func(disk) string { return head }, slices.Concat(proof, commands, services, events, shared, records)},
		"of the last service and its event": {func(disk) string { return strings.Replace(head, "message OrderEvent", "message Order", 1) }, slices.Concat(proof, commands, services, events, shared, records)},
		"of all events":                     {func(disk) string { return strings.ReplaceAll(orders, "string event_type = 2;", "") }, slices.Concat(proof, events, []string{consumer}, reading, proving, implemented)},
		"of the last service beside another proto's": {func(h disk) string {
			h.write(foreign, "// "+keep.Marker+"\n// source: other.proto, service shop.Others\n\npackage shopclient\n\nimport \"example.com/shop/gen/shoppb\"\n")
			h.write("gen/shoppb/other.pb.go", "// Code generated by protoc-gen-go. DO NOT EDIT.\n// source: other.proto\n\npackage shoppb\n")
			return head // the other one may take the event
		}, slices.Concat(commands, services, records[1:])},
		"of the last service beside yours": {func(h disk) string {
			h.edit(client, "// "+keep.Marker, "// Mine.")
			return head
		}, slices.DeleteFunc(slices.Concat(proof, commands, services, events, records), func(at string) bool { return at == client })},
		"of a package by its name before": {func(disk) string {
			return strings.Replace(orders, "gen/shoppb", "gen/shoppb;store", 1)
		}, slices.Concat(services, events, shared)},
		"of a package by its name before beside yours": {func(h disk) string {
			h.edit("gen/shoppb/shoptest/order_event.go", "// "+keep.Marker+"\n", "")
			return strings.Replace(orders, "gen/shoppb", "gen/shoppb;store", 1)
		}, slices.Concat(services, events[:2])}, // what is shared may be needed
		"of a package by its name before beside yours, without its client": {func(h disk) string {
			h.edit("gen/shoppb/shoptest/order_event.go", "// "+keep.Marker+"\n", "")
			for _, at := range []string{"client.go", "orders.go"} {
				h.remove("gen/shoppb/shopclient/" + at)
			}
			return strings.Replace(orders, "gen/shoppb", "gen/shoppb;store", 1)
		}, slices.Concat(slices.DeleteFunc(slices.Clone(services), func(at string) bool { return at == client }), events[:2], shared[5:])},
		"of a program by its name before": {func(disk) string {
			return strings.Replace(orders, "package shop;", "package store;", 1)
		}, slices.Concat(proof, commands, records, proving, implemented)},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			slices.Sort(test.gone)
			text := test.change(h)
			files, lines, err := h.dry(text)
			if err != nil {
				t.Fatal(err, lines)
			}
			var gone []string
			for _, file := range files {
				if !file.Leftover {
					continue
				}
				gone = append(gone, file.Path)
				if slices.Contains(records, file.Path) {
					if file.Content != nil {
						t.Errorf("%s is left as\n%s", file.Path, file.Content)
					}
					continue
				}
				want := "// " + keep.Marker + "\n// This file is no longer generated: delete it.\n\n"
				if strings.HasPrefix(file.Path, "cmd/depot-client/") {
					want += "//go:build ignore\n\n" // there is no main
				}
				if want += "package "; !strings.HasPrefix(string(file.Content), want) || strings.Count(string(file.Content), "\n") != strings.Count(want, "\n")+1 {
					t.Errorf("%s is left as\n%s", file.Path, file.Content)
				}
			}
			slices.Sort(gone)
			if !slices.Equal(gone, test.gone) {
				t.Errorf("gone are\n%s\nwant\n%s", strings.Join(gone, "\n"), strings.Join(test.gone, "\n"))
			}
		})
	}
}

// templates of a user, for files of ours in every scope: in Go, and in other
// languages.
var templates = map[string]string{
	"module/Dockerfile.tmpl":                 "# " + keep.Marker + "\nFROM scratch\n",
	"module/.github/workflows/ci.yaml.tmpl":  "# " + keep.Marker + "\non: push\n",
	"program/deploy/{app}.yaml.tmpl":         "# " + keep.Marker + "\napp: {{.Name}}\n",
	"package/{gen}/{base}own/names.go.tmpl":  "// " + keep.Marker + "\n\npackage {{.Base}}own\n",
	"service/docs/{service}.md.tmpl":         "<!-- " + keep.Marker + " -->\n# {{.Name}}\n",
	"service/internal/{path}/names.go.tmpl":  "// " + keep.Marker + "\n\npackage {{.Impl.Name}}\n\nconst name = {{printf \"%q\" .Name}}\n",
	"event/schemas/{event}.yaml.tmpl":        "# " + keep.Marker + "\nevent: {{.Name}}\n",
	"method/docs/{service}/{method}.md.tmpl": "<!-- " + keep.Marker + " -->\n# {{.Name}}\n",
}

// What they make of orders.
const (
	dockerfile = "Dockerfile"
	workflow   = ".github/workflows/ci.yaml"
	deployed   = "deploy/shop.yaml"
	ownNames   = "gen/shoppb/shopown/names.go"
	document   = "docs/orders.md"
	implNames  = impl + "names.go"
	schema     = "schemas/order_event.yaml"
)

// TestLeftoversOfEveryEnding: what a run makes no longer is found wherever it is,
// by its marker and the line below.
func TestLeftoversOfEveryEnding(t *testing.T) {
	all := []string{dockerfile, workflow, deployed, ownNames, document, implNames, schema, "docs/orders/find.md", "docs/orders/take.md"}
	slices.Sort(all)
	without := func(names ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(names, name) })
	}
	none := func(h disk) { h.remove("templates") }
	other := func(h disk) { // of a proto that the run is not on
		h.write("gen/depotpb/depotclient/others.go", "// "+keep.Marker+"\n// source: other.proto, service depot.Others\n\npackage depotclient\n\nimport \"example.com/shop/gen/depotpb\"\n")
		h.write("gen/depotpb/other.pb.go", "// Code generated by protoc-gen-go. DO NOT EDIT.\n// source: other.proto\n\npackage depotpb\n")
	}
	edited := func(name, old, new string) func(disk) { return func(h disk) { none(h); h.edit(name, old, new) } }
	for name, test := range map[string]struct {
		change func(disk)
		proto  string
		want   []string
	}{
		"nothing":                        {func(disk) {}, orders, nil},
		"all templates":                  {none, orders, all},
		"one template":                   {func(h disk) { h.remove("templates/module/Dockerfile.tmpl") }, orders, []string{dockerfile}},
		"an RPC":                         {func(disk) {}, strings.Replace(orders, "rpc Find(Query) returns (Reply);", "", 1), []string{"docs/orders/find.md"}},
		"the events":                     {func(disk) {}, strings.ReplaceAll(orders, "string event_type = 2;", ""), slices.Concat(reading, proving, []string{schema})},
		"the service":                    {func(disk) {}, head, append(without(dockerfile, workflow), programRecord, serviceRecord)},
		"a program by its name before":   {func(disk) {}, strings.Replace(orders, "package shop;", "package store;", 1), []string{deployed, implNames, programRecord, serviceRecord}},
		"a template beside other protos": {func(h disk) { none(h); other(h) }, orders, []string{document, implNames, "docs/orders/find.md", "docs/orders/take.md"}},
		"without the marker":             {edited(dockerfile, "# "+keep.Marker+"\n", ""), orders, without(dockerfile)},
		"without the source":             {edited(document, "<!-- source: shop.proto, service shop.Orders; path: docs/orders.md -->\n", ""), orders, without(document)},
		"used by yours":                  {func(h disk) { none(h); h.write(impl+"own.go", "package orders\n\nvar own = name\n") }, orders, without(implNames)},
		"named like a field":             {func(h disk) { none(h); h.write(impl+"own.go", "package orders\n\nvar own = other.name\n") }, orders, all},
		"copies": {func(h disk) {
			text := h.read(dockerfile)
			none(h)
			h.write("other/go.mod", "module example.com/other\n")
			for _, dir := range []string{"other", ".git", ".cache", "_old", "node_modules/x", "vendor/x", "docs/testdata"} {
				h.write(dir+"/Dockerfile", text)
			}
			h.write("copy/Dockerfile", text)
			h.write("docs/how.md", "# How\n\n```\n"+text+"```\n")
			h.write("my.patch", " "+strings.ReplaceAll(text, "\n", "\n "))
			h.write("own/own.go", "// "+keep.Marker+"\npackage own\n") // without a source
			h.write("overrides/module/Dockerfile.tmpl", text)          // to begin a template with
		}, orders, without()},
	} {
		t.Run(name, func(t *testing.T) {
			h := disk{t, t.TempDir()}
			h.write("go.mod", "module example.com/shop\n")
			for name, text := range templates {
				h.write("templates/"+name, text)
			}
			option := "templates=" + filepath.Join(h.root, "templates")
			if _, err := h.generate(orders, option); err != nil {
				t.Fatal(err)
			}
			test.change(h)
			if !h.has("templates") {
				option = "check=false"
			}
			files, lines, err := h.dry(test.proto, option)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, file := range files {
				if file.Leftover && !strings.HasPrefix(file.Path, "cmd/") && !model.Generated(filepath.Dir(file.Path)) {
					got = append(got, file.Path)
				}
				if file.Leftover && (file.Content != nil) != (filepath.Ext(file.Path) == ".go") {
					t.Errorf("of %s it leaves %q", file.Path, file.Content)
				}
			}
			slices.Sort(got)
			slices.Sort(test.want)
			if !slices.Equal(got, test.want) {
				t.Errorf("leftovers are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
			line := implNames + ": no longer generated, but left alone because " + impl + "own.go:3 uses it: remove that use"
			if slices.Contains(lines, line) != (name == "used by yours") {
				t.Errorf("it prints %q", lines)
			}
		})
	}
}

// The client of a deleted main is not made, because nothing would build it, and what
// it alone needs of the runtime goes with it.
func TestTheClientOfADeletedMain(t *testing.T) {
	const commands, own, mine = "cmd/shop-client/commands.go", "cmd/shop-client/orders_commands.go", "cmd/shop-client/main.go"
	commandFiles := 0
	leftovers := func(h disk, options ...string) (paths []string, text string) {
		files, _, err := h.dry(orders, options...)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			switch {
			case file.Leftover && strings.HasPrefix(file.Path, model.RuntimeDir+"/command/"):
				commandFiles++
			case file.Leftover:
				paths, text = append(paths, file.Path), string(file.Content)
			}
		}
		return paths, text
	}
	h := newDisk(t, orders)
	text := h.read(mine)
	h.remove(mine)
	if paths, text := leftovers(h); !slices.Equal(paths, []string{commands, own}) || !strings.HasSuffix(text, "\n\n//go:build ignore\n\npackage main\n") {
		t.Errorf("leftovers are %q, the last of them\n%s", paths, text)
	}
	if commandFiles < 5 {
		t.Errorf("%d files of the package command are leftovers, want all", commandFiles)
	}
	for range 2 { // and main does not come back, nor does anything that was deleted
		if _, err := h.generate(orders); err != nil || h.has(mine) || strings.Contains(h.read(own), "func") {
			t.Errorf("main is there: %t (%v); of the commands is left\n%s", h.has(mine), err, h.read(own))
		}
	}
	h.remove("cmd/shop-client")
	if _, err := h.generate(orders); err != nil || h.has("cmd/shop-client") {
		t.Errorf("the client is back (%v)", err)
	}
	h.write("cmd/shop-client/my_main.go", text)
	if paths, _ := leftovers(h); len(paths) > 0 {
		t.Errorf("with a main under another name, leftovers are %q", paths)
	}
	if _, err := h.generate(orders); err != nil || !h.has(commands) || !h.has(own) {
		t.Errorf("with a main under another name the commands are there: %t, %t (%v)", h.has(commands), h.has(own), err)
	}
	h.remove("cmd/shop-client")
	if _, err := h.generate(orders, "scaffold=all"); err != nil || !h.has(mine) || !h.has(commands) {
		t.Errorf("with scaffold=all main is there: %t, and the commands: %t (%v)", h.has(mine), h.has(commands), err)
	}
}

// TestDeletedMains: they stay deleted, also both, and what is left of ours is built
// whenever there is a main, and only then.
func TestDeletedMains(t *testing.T) {
	const server, commands, own = "cmd/shop-client/main.go", "cmd/shop-client/commands.go", "cmd/shop-client/orders_commands.go"
	to := func(name, begin string) func(disk) {
		return func(h disk) {
			text := h.read(server)
			h.remove(server)
			h.write("cmd/shop-client/"+name, begin+text)
		}
	}
	for name, test := range map[string]struct {
		change func(disk)
		want   string // constraint of the commands; "none" if they are not made
	}{
		"none is":                      {func(disk) {}, ""},
		"the client's":                 {func(h disk) { h.remove(server) }, "none"},
		"both":                         {func(h disk) { h.remove(server, main) }, "none"},
		"all of cmd":                   {func(h disk) { h.remove("cmd") }, "none"},
		"one with our marker":          {to("main.go", "// "+keep.Marker+"\n\n"), ""},
		"one that nothing builds":      {to("main.go", "//go:build ignore\n\n"), "ignore"},
		"one for a system by its name": {to("run_windows_amd64.go", ""), "windows && amd64"},
		"one by its name and a tag":    {to("run_linux.go", "//go:build !race\n\n"), "linux && (!race)"},
		"one tagged beside another":    {func(h disk) { h.write("cmd/shop-client/b.go", "//go:build race\n\n"+h.read(server)) }, ""},
		"one tagged beside one of a test": {func(h disk) {
			to("main.go", "//go:build race\n\n")(h)
			h.write("cmd/shop-client/own_test.go", "package main\n")
		}, "race"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			test.change(h)
			hadMain := h.has(main)
			for range 3 {
				files, _, err := h.dry(orders)
				if err != nil {
					t.Fatal(err)
				}
				for _, file := range files {
					if file.Leftover {
						h.remove(file.Path)
					} else {
						h.write(file.Path, string(file.Content))
					}
				}
			}
			if h.has(main) != hadMain || name == "the client's" && h.has(server) {
				t.Errorf("the mains are there: %t, %t", h.has(main), h.has(server))
			}
			for _, at := range []string{commands, own} {
				switch {
				case !h.has(at):
					if test.want != "none" {
						t.Errorf("%s is not there", at)
					}
				case test.want == "none":
					t.Errorf("%s is there", at)
				default:
					_, expr, _ := strings.Cut(h.read(at), "\n//go:build ")
					if expr, _, _ = strings.Cut(expr, "\n"); expr != test.want {
						t.Errorf("%s is built if %q, want %q", at, expr, test.want)
					}
				}
			}
		})
	}
}

// TestTheTestOfAProgramNeedsAMainLikeOurs: beside another one it would not build.
func TestTheTestOfAProgramNeedsAMainLikeOurs(t *testing.T) {
	const test, proof = "cmd/shop-server/main_test.go", "cmd/shop-server/prove_test.go"
	for name, c := range map[string]struct {
		change      func(main string) string
		want, prove bool
	}{
		"ours":            {func(main string) string { return main }, true, true},
		"ours with more":  {func(main string) string { return main + "\nfunc more() {}\n" }, true, true},
		"one without run": {func(string) string { return "package main\n\nfunc main() {}\n" }, false, false},
		"one with another run": {func(main string) string {
			return strings.ReplaceAll(main, "args []string) error", "args ...string) error")
		}, false, false},
		"one without keys": {func(main string) string { return strings.ReplaceAll(main, "/guard\"", "/guardian\"") }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			if !h.has(test) {
				t.Fatalf("a new program has no %s", test)
			}
			h.remove(test, proof, programRecord, "cmd/shop-client")
			h.write(main, c.change(h.read(main)))
			if _, err := h.generate(orders, "scaffold=all"); err != nil {
				t.Fatal(err)
			}
			if h.has(test) != c.want {
				t.Errorf("%s is there: %t, want %t", test, h.has(test), c.want)
			}
			if h.has(proof) != c.prove {
				t.Errorf("%s is there: %t, want %t", proof, h.has(proof), c.prove)
			}
		})
	}
}

// TestANewMainCallsWhatIsBuiltEverywhere: what a build tag or the name of a file
// keeps from some builds it does not call.
func TestANewMainCallsWhatIsBuiltEverywhere(t *testing.T) {
	const service, consume = impl + "service.go", impl + "consume.go"
	to := func(from, to, tag string) func(disk) {
		return func(h disk) {
			text := h.read(from)
			h.remove(from)
			h.write(to, tag+text)
		}
	}
	for name, test := range map[string]struct {
		change               func(disk)
		constructs, consumes bool
	}{
		"as generated":                       {func(disk) {}, true, true},
		"renamed":                            {to(consume, impl+"events.go", ""), true, true},
		"consuming under a build tag":        {to(consume, consume, "//go:build !plan9\n\n"), true, false},
		"consuming on one system":            {to(consume, impl+"aux_windows.go", ""), true, false},
		"consuming on one kind of CPU":       {to(consume, impl+"aux_linux_amd64.go", ""), true, false},
		"consuming with an error of its own": {func(h disk) { h.write(impl+"own.go", "package orders\n\ntype error = int\n") }, true, false},
		"constructing on one system":         {to(service, impl+"service_darwin.go", ""), false, false},
		"constructing under a build tag":     {to(service, service, "//go:build cgo\n\n"), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			test.change(h)
			h.remove(main)
			if _, err := h.generate(orders, "scaffold=all"); err != nil {
				t.Fatal(err)
			}
			text := h.read(main)
			if strings.Contains(text, "orders.New(") != test.constructs || strings.Contains(text, "ordersService.Consume") != test.consumes {
				t.Errorf("main is\n%s", text)
			}
		})
	}
}

// TestWhatIsSharedDependsOnNoProto: two protos of a Go package are of different
// proto packages, and a run on one changes nothing that one on the other wrote.
func TestWhatIsSharedDependsOnNoProto(t *testing.T) {
	stock := strings.NewReplacer("package shop;", "package stock;", "Order", "Stock", "Query", "StockQuery", "Reply", "StockReply").Replace(orders)
	h := disk{t, t.TempDir()}
	h.write("go.mod", "module example.com/shop\n")
	run := func(name, text string) []keep.File {
		protos := t.TempDir()
		if err := os.WriteFile(filepath.Join(protos, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		request, err := compile.Request(context.Background(), []string{protos}, []string{name})
		if err != nil {
			t.Fatal(err)
		}
		request.Parameter = proto.String("root=" + h.root)
		result, err := plugin.Run(request)
		if err != nil {
			t.Fatal(err)
		}
		return result.Files
	}
	for _, name := range []string{"shop.proto", "stock.proto"} {
		for _, file := range run(name, map[string]string{"shop.proto": orders, "stock.proto": stock}[name]) {
			if change, err := file.Change(h.open()); change == "change" || err != nil {
				t.Errorf("%s changes %s", name, file.Path)
			}
			h.write(file.Path, string(file.Content))
		}
	}
	for _, file := range run("shop.proto", orders) {
		if change, err := file.Change(h.open()); change != "" || err != nil {
			t.Errorf("again, it would %s %s", change, file.Path)
		}
	}
}

// TestAModuleIsKnownByAnyOfItsClients: what is written once for a module is not
// written again because there is another program.
func TestAModuleIsKnownByAnyOfItsClients(t *testing.T) {
	const at = "Makefile"
	for name, test := range map[string]struct {
		stands string
		want   []string
	}{
		"an empty module":          {"README.md", []string{at}},
		"one with a client":        {"cmd/shop-client/commands.go", nil},
		"one with another program": {"cmd/shop/commands.go", []string{at}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			stands := filepath.Join(root, test.stands)
			if err := os.MkdirAll(filepath.Dir(stands), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(stands, []byte("text"), 0o644); err != nil {
				t.Fatal(err)
			}
			render := func() ([]byte, error) { return []byte("all:"), nil }
			files, err := keep.At(root, "example.com/shop", false).Decide([]keep.Output{
				{Path: at, Owner: keep.Yours, Render: render, Element: &model.Module{}},
			})
			var written []string
			for _, file := range files {
				written = append(written, file.Path)
			}
			if err != nil || !slices.Equal(written, test.want) {
				t.Errorf("it writes %q (%v), want %q", written, err, test.want)
			}
		})
	}
}

// TestEventsThatAreNoLongerRead: what was stored under the name of an event that a
// run no longer knows would be hidden, so the run says so, and what reads it again.
func TestEventsThatAreNoLongerRead(t *testing.T) {
	const unread = "event shop.OrderEvent is no longer generated: what is stored under that name is not read any longer; " +
		`if it was renamed, write "// receiver:was=shop.OrderEvent" above `
	const restore = ", and before you run this again restore gen/shoppb/shoptest/order_event_schemas_test.go, which has what these events are"
	replace := func(oldNew ...string) string { return strings.NewReplacer(oldNew...).Replace(orders) }
	for name, test := range map[string]struct{ proto, want string }{
		"nothing changed":        {orders, ""},
		"the message is renamed": {replace("OrderEvent", "SaleEvent"), unread + "message SaleEvent (shop.proto:4:1)" + restore},
		"the package is renamed": {replace("package shop;", "package depot;"), unread + "message OrderEvent (shop.proto:4:1)"},
		"the package and its Go package are renamed": {
			replace("package shop;", "package depot;", "gen/shoppb", "elsewhere/depotpb"), unread + "message OrderEvent (shop.proto:4:1)"},
		"it is renamed beside a new one": {
			replace("package shop;", "package depot;", "rpc Find(Query)", "rpc Find(FindEvent)", "message Query", "message FindEvent { string event_type = 1; string source = 2; }\nmessage Query"),
			unread + "message OrderEvent (shop.proto:4:1)"},
		"one of two new ones": {
			replace("OrderEvent", "SaleEvent", "rpc Find(Query)", "rpc Find(FindEvent)", "message Query", "message FindEvent { string event_type = 1; string source = 2; }\nmessage Query"),
			unread + "its message" + restore},
		"it is no longer an event":       {replace("string event_type = 2;", ""), unread + "its message" + restore},
		"it is read under its old name":  {replace("package shop;", "package depot;", "message OrderEvent", "// receiver:was=shop.OrderEvent\nmessage OrderEvent"), ""},
		"one among several former names": {replace("message OrderEvent", "// receiver:was=older.E, shop.OrderEvent\nmessage SaleEvent", "OrderEvent", "SaleEvent"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDisk(t, orders)
			lines, err := h.generate(test.proto)
			if err != nil {
				t.Fatal(err)
			}
			lines = slices.DeleteFunc(lines, func(line string) bool { return !strings.HasPrefix(line, "event ") })
			if got := strings.Join(lines, "\n"); got != test.want {
				t.Errorf("it prints\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}
