package plugin_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/compile"
	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/plugin"
)

// orders is a module whose proto is edited.
type orders struct{ root string }

const keptOrders = "gen/orderpb/ordertest/order_event_schemas_test.go"

// generate runs the plugin on a proto whose event has some fields beside its type, and
// writes what it answers. It returns what it prints about stored events, and its error.
func (o orders) generate(t *testing.T, fields string) (lines []string, err string) {
	t.Helper()
	return o.generateEvent(t, "message OrderEvent", fields)
}

// generateEvent is generate for an event of another name.
func (o orders) generateEvent(t *testing.T, message, fields string) (lines []string, err string) {
	t.Helper()
	_, name, _ := strings.Cut(message, "message ")
	text := "syntax = \"proto3\";\npackage shop;\noption go_package = \"example.com/shop/gen/orderpb\";\n" +
		"service Orders { rpc Report(" + name + ") returns (Reply); }\nmessage Reply {}\n" +
		message + " {\n  string event_type = 1;\n  string source = 2;\n" + fields + "}\n"
	o.write(t, "protos/order.proto", text)
	request, failed := compile.Request(context.Background(), []string{filepath.Join(o.root, "protos")}, []string{"order.proto"})
	if failed != nil {
		t.Fatal(failed)
	}
	request.Parameter = proto.String("root=" + o.root)
	response := plugin.Respond(request, func(line string) {
		if strings.Contains(line, "misread") || strings.HasPrefix(line, "event ") {
			lines = append(lines, line)
		}
	})
	for _, file := range response.GetFile() {
		o.write(t, file.GetName(), file.GetContent())
	}
	return lines, response.GetError()
}

func (o orders) write(t *testing.T, path, text string) {
	t.Helper()
	path = filepath.Join(o.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTheRepositoryKeepsWhatEventsWere: a run prints where the proto would misread stored
// events, until it no longer does, also if the field that they have was removed long before.
func TestTheRepositoryKeepsWhatEventsWere(t *testing.T) {
	o := orders{t.TempDir()}
	o.write(t, "go.mod", "module example.com/shop\n")
	const misread = "order.proto:9:3: field 5 (note) was string, is int64 (weight) now: its values are not read. " +
		"Stored events of shop.OrderEvent would be misread: give what is new a number that was never used, or, if no log has such events, delete " + keptOrders + " and run this again"
	for _, step := range []struct {
		name, fields string
		misread      bool
		kept         int // versions
	}{
		{"at first", "  string note = 5;\n", false, 1},
		{"with one field more", "  string note = 5;\n  int32 amount = 6;\n", false, 1},
		{"with a number that has more room", "  string note = 5;\n  int64 amount = 6;\n", false, 1},
		{"without the note", "  int64 amount = 6;\n", false, 2},
		{"with its number reused", "  int64 weight = 5;\n  int64 amount = 6;\n", true, 2},
		{"the same again", "  int64 weight = 5;\n  int64 amount = 6;\n", true, 2},
		{"with another number", "  int64 amount = 6;\n  int64 weight = 7;\n", false, 2},
	} {
		lines, err := o.generate(t, step.fields)
		if err != "" {
			t.Fatalf("%s: %s", step.name, err)
		}
		if got := strings.Join(lines, "\n"); step.misread != (got == misread) || !step.misread && got != "" {
			t.Errorf("%s it prints %q", step.name, got)
		}
		if text, err := os.ReadFile(filepath.Join(o.root, keptOrders)); err != nil || strings.Count(string(text), "`shop.OrderEvent\n") != step.kept {
			t.Errorf("%s it keeps, want %d versions (%v):\n%s", step.name, step.kept, err, text)
		}
	}
	if err := os.Remove(filepath.Join(o.root, keptOrders)); err != nil {
		t.Fatal(err)
	}
	if lines, err := o.generate(t, "  string amount = 6;\n"); len(lines) > 0 || err != "" {
		t.Errorf("after what was kept was deleted, it prints %q %s", lines, err)
	}
}

// TestARenamedEventKeepsWhatItWas: from the file of its former name, in the run that reads
// what is stored under that, or restored for it.
func TestARenamedEventKeepsWhatItWas(t *testing.T) {
	const keptSales = "gen/orderpb/ordertest/sale_event_schemas_test.go"
	begin := func(t *testing.T) (o orders, kept string) {
		o = orders{t.TempDir()}
		o.write(t, "go.mod", "module example.com/shop\n")
		for _, fields := range []string{"  string note = 5;\n", "  int64 amount = 6;\n"} {
			if lines, err := o.generate(t, fields); len(lines) > 0 || err != "" {
				t.Fatalf("it prints %q %s", lines, err)
			}
		}
		text, err := os.ReadFile(filepath.Join(o.root, keptOrders))
		if err != nil {
			t.Fatal(err)
		}
		return o, string(text)
	}
	misread := func(t *testing.T, o orders) {
		t.Helper()
		lines, err := o.generateEvent(t, "// receiver:was=shop.OrderEvent\nmessage SaleEvent", "  int64 weight = 5;\n  int64 amount = 6;\n")
		if err != "" || len(lines) != 1 || !strings.Contains(lines[0], "field 5 (note) was string, is int64 (weight) now") || !strings.Contains(lines[0], "delete "+keptSales) {
			t.Errorf("with a number used again it prints %q %s", lines, err)
		}
	}
	t.Run("at once", func(t *testing.T) {
		o, _ := begin(t)
		if lines, err := o.generateEvent(t, "// receiver:was=shop.OrderEvent\nmessage SaleEvent", "  int64 amount = 6;\n"); len(lines) > 0 || err != "" {
			t.Errorf("it prints %q %s", lines, err)
		}
		misread(t, o)
	})
	t.Run("later", func(t *testing.T) {
		o, kept := begin(t)
		lines, err := o.generateEvent(t, "message SaleEvent", "  int64 amount = 6;\n")
		if err != "" || len(lines) != 1 || !strings.HasSuffix(lines[0], ", and before you run this again restore "+keptOrders+", which has what these events are") {
			t.Errorf("it prints %q %s", lines, err)
		}
		o.write(t, keptOrders, kept)
		if lines, err := o.generateEvent(t, "// receiver:was=shop.OrderEvent\nmessage SaleEvent", "  int64 amount = 6;\n"); len(lines) > 0 || err != "" {
			t.Errorf("then it prints %q %s", lines, err)
		}
		misread(t, o)
	})
	t.Run("with a file that is cut", func(t *testing.T) {
		o, kept := begin(t)
		o.write(t, keptOrders, strings.Replace(kept, `"file":[`, `"file":`, 1))
		if _, err := o.generateEvent(t, "// receiver:was=shop.OrderEvent\nmessage SaleEvent", "  int64 amount = 6;\n"); !strings.HasPrefix(err, keptOrders+":") {
			t.Errorf("the error is %q", err)
		}
	})
}

// TestWhatWasKeptIsNotLost: a file that can't be read any longer is not replaced.
func TestWhatWasKeptIsNotLost(t *testing.T) {
	o := orders{t.TempDir()}
	o.write(t, "go.mod", "module example.com/shop\n")
	if _, err := o.generate(t, "  string note = 5;\n"); err != "" {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(o.root, keptOrders))
	if err != nil {
		t.Fatal(err)
	}
	for what, broken := range map[string]string{
		"a text that is cut":   strings.Replace(string(text), `"file":[`, `"file":`, 1),
		"a file that is cut":   string(text[:len(text)-10]),
		"a conflict of merges": strings.Replace(string(text), "\nvar ", "\n<<<<<<< HEAD\nvar ", 1),
	} {
		o.write(t, keptOrders, broken)
		if _, err := o.generate(t, "  string note = 5;\n"); !strings.HasPrefix(err, keptOrders+":") || !strings.Contains(err, "restore the file, or, if no log has any, delete it") {
			t.Errorf("%s: the error is %q", what, err)
		}
		if now, err := os.ReadFile(filepath.Join(o.root, keptOrders)); err != nil || string(now) != broken {
			t.Errorf("%s: it is replaced (%v) by %s", what, err, now)
		}
	}
}
