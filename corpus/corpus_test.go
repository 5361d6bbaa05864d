package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	results := []*Result{
		{Module: Module{Path: "example.com/a", Version: "v1.0.0"}, Took: 3 * time.Second, Services: []*Service{
			{Built: true, Started: true, Vetted: true, TestsPassed: true, TestsCounted: 12, RPCs: []RPC{{}, {Streaming: true}, {Events: "type=Type"}}},
			{Built: true},
		}},
		{Module: Module{Path: "example.com/bb", Version: "v2.0.0"}, Took: time.Second},
	}
	const want = `
| module         | version | services | RPCs | streaming | events | built | started | vetted | tested | tests passed | time |
| -------------- | ------- | -------: | ---: | --------: | -----: | ----: | ------: | -----: | -----: | -----------: | ---: |
| example.com/a  | v1.0.0  |        2 |    3 |         1 |      1 |     2 |       1 |      1 |      1 |           12 |   3s |
| example.com/bb | v2.0.0  |        0 |    0 |         0 |      0 |     0 |       0 |      0 |      0 |            0 |   1s |
| 2 modules      |         |        2 |    3 |         1 |      1 |     2 |       1 |      1 |      1 |           12 |   4s |
`
	if got := table(rows(results)); got != want[1:] {
		t.Errorf("the table is\n%swant%s", got, want)
	}
}

func TestPackageErrors(t *testing.T) {
	const text = `go vet: exit status 1
# example.com/a
a.go:1:2: this
a.go:3:4: that
# example.com/b
# [example.com/b]
b.go:1:1: other
# example.com/c [example.com/c.test]
c_test.go:1:1: more
`
	want := []packageError{
		{"example.com/a", "a.go:1:2: this\na.go:3:4: that"},
		{"example.com/b", "b.go:1:1: other"},
		{"example.com/c", "c_test.go:1:1: more"},
	}
	if got := packageErrors(text); !slices.Equal(got, want) {
		t.Errorf("the errors are %q, want %q", got, want)
	}
}

func TestTestsAreCounted(t *testing.T) {
	result := &Result{Services: []*Service{
		{Name: "a.A", impl: "m/a", packages: []string{"m/a", "m/shared"}},
		{Name: "b.B", impl: "m/b", packages: []string{"m/b", "m/shared"}},
	}}
	result.read([]byte(`
{"Action":"pass","Package":"m/a","Test":"TestGet"}
{"Action":"pass","Package":"m/a"}
{"Action":"output","Package":"m/b","Test":"TestPut","Output":"wrong\n"}
{"Action":"fail","Package":"m/b","Test":"TestPut"}
{"Action":"fail","Package":"m/b"}
{"ImportPath":"m/shared [m/shared.test]","Action":"build-output","Output":"does not compile\n"}
{"ImportPath":"m/shared [m/shared.test]","Action":"build-fail"}
`))
	want := []Failure{
		{"test", "m/b", []string{"b.B"}, "TestPut\nwrong"},
		{"test", "m/shared", []string{"a.A", "b.B"}, "does not compile"},
	}
	if !reflect.DeepEqual(result.Failures, want) {
		t.Errorf("failures are %q, want %q", result.Failures, want)
	}
	if a, b := result.Services[0].TestsCounted, result.Services[1].TestsCounted; a != 1 || b != 0 {
		t.Errorf("%d and %d tests passed, want 1 and 0", a, b)
	}
}

func TestImplements(t *testing.T) {
	file := parse(t, `package orders
import pb "example.com/shopv1"
type Service struct {
	pb.UnimplementedOrderIntakeServer
	log *pb.Log
}`)
	for _, test := range []struct {
		goPackage, goName string
		want              bool
	}{
		{"example.com/shopv1", "OrderIntake", true},
		{"example.com/shopv1", "Orders", false},
		{"example.com/shopv2", "OrderIntake", false},
	} {
		service := &Service{GoPackage: test.goPackage, GoName: test.goName}
		if got := implements(file, service); got != test.want {
			t.Errorf("implements reports %[3]v for %[1]s.%[2]s", test.goPackage, test.goName, got)
		}
	}
}

func TestEventsAreFound(t *testing.T) {
	skeleton := parse(t, `package orders
func (s *Service) TakeOrder(ctx C, event *E) (*R, error) {
	if _, err := s.events.AppendOrderEvent(ctx, event); err != nil {
		return nil, err
	}
	return &R{}, nil
}
func (s *Service) GetOrder(ctx C, request *E) (*R, error) { return nil, unimplemented }`)
	log := parse(t, `package shopv1events
func (l *Log) AppendOrderEvent(ctx C, event *E) (Receipt, error) {
	return eventlog.AppendMessage(ctx, l.store, event, eventlog.Event{
		ID: eventid.Of(ctx, ""),
		Type: cmp.Or(event.GetEventType(), "shop.v1.OrderEvent"),
		Time: eventlog.TimestampTime(event.GetOccurredAt()),
	})
}`)
	service := &Service{RPCs: []RPC{{Name: "take_order"}, {Name: "get_order"}}}
	service.markEvents(skeleton, map[string]string{"dir.AppendOrderEvent": roleFields(log)})
	if got, want := service.RPCs[0].Events, "type=EventType time=OccurredAt"; got != want {
		t.Errorf("take_order takes events by %q, want %q", got, want)
	}
	if got := service.RPCs[1].Events; got != "" {
		t.Errorf("get_order takes events by %q", got)
	}
}

func TestCommands(t *testing.T) {
	const help = "Usage: shop-client COMMAND\n\nCommands:\n  take-order   Takes\n  get-order    Gets\n  help         Shows\n\nFlags:\n  --x   y\n"
	if got, want := commands(help), []string{"take-order", "get-order"}; !slices.Equal(got, want) {
		t.Errorf("the commands are %q, want %q", got, want)
	}
	if got := commands("Usage: shop-server [flags]\n\nFlags:\n  --addr   x\n"); len(got) > 0 {
		t.Errorf("the commands are %q, want none", got)
	}
}

func TestIndent(t *testing.T) {
	if got := indent("one\ntwo\n"); got != "    one\n    two" {
		t.Errorf("got %q", got)
	}
	if got := indent(strings.Repeat("line\n", lines+2)); !strings.HasSuffix(got, "\n    … and 2 more lines") {
		t.Errorf("got %q", got)
	}
}

func parse(t *testing.T, text string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
