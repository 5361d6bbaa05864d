package servertest

import (
	"fmt"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	rulesv1 "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/rules/golden/gen/rules/v1"
)

func TestASampleKeepsItsRules(t *testing.T) {
	for _, sample := range []proto.Message{
		Sample[*rulesv1.AllRules](), Sample[*rulesv1.OrderEvent](), Sample[*rulesv1.Batch]("rules.v1.OrderEvent.event_id"),
		Sample[*rulesv1.WatchRequest](), Least[*rulesv1.WatchRequest](), Least[*rulesv1.AllRules](), Least[*rulesv1.Batch](),
	} {
		if err := protovalidate.Validate(sample); err != nil {
			t.Errorf("the sample of %s breaks a rule: %v", sample.ProtoReflect().Descriptor().FullName(), err)
		}
	}
	if first, second := Sample[*rulesv1.OrderEvent](), Sample[*rulesv1.OrderEvent](); !proto.Equal(first, second) {
		t.Errorf("two samples differ:\n%v\n%v", first, second)
	}
	if numbers := Sample[*rulesv1.AllRules]().GetNumbers(); numbers.GetInt32() != 6 || numbers.GetUint64() != 1<<64-1 {
		t.Errorf("numbers are %v", numbers)
	}
	if got, want := len(Sample[*rulesv1.Batch]().GetEvents()), 2; got != want {
		t.Errorf("a batch has %d events, want %d", got, want)
	}
}

func TestUniqueValuesKeepTheirRules(t *testing.T) {
	unique := []string{"rules.v1.OrderEvent.event_id", "rules.v1.Strings.pattern", "rules.v1.Strings.ends", "rules.v1.Strings.ulid",
		"rules.v1.Strings.email", "rules.v1.Strings.len", "rules.v1.Strings.ipv6", "rules.v1.Numbers.sfixed64", "rules.v1.Numbers.hundreds"}
	seen := map[string]bool{}
	for range 100 {
		event, all := Sample[*rulesv1.OrderEvent](unique...), Sample[*rulesv1.AllRules](unique...)
		for _, m := range []proto.Message{event, all} {
			if err := protovalidate.Validate(m); err != nil {
				t.Fatalf("%v: %v", m, err)
			}
		}
		text, numbers := all.GetStrings(), all.GetNumbers()
		for i, value := range []any{event.GetEventId(), text.GetPattern(), text.GetEnds(), text.GetUlid(),
			text.GetEmail(), text.GetLen(), text.GetIpv6(), numbers.GetSfixed64(), numbers.GetHundreds()} {
			key := fmt.Sprint(i, " ", value)
			if seen[key] {
				t.Fatalf("%s was made twice", key)
			}
			seen[key] = true
		}
	}
}

// Where no sample is found, the text names the rule that is in the way, and what to write.
func TestASampleThatIsNotFound(t *testing.T) {
	if text := unkept(Sample[*rulesv1.AllRules]().ProtoReflect()); text != "" {
		t.Errorf("of a valid sample it says %s", text)
	}
	text := unkept(new(rulesv1.Batch).ProtoReflect())
	for _, want := range []string{"rules.v1.Batch", "events: must contain at least 2 item(s)", "string.example = ", "{RPC}Request", "service_test.go"} {
		if !strings.Contains(text, want) {
			t.Errorf("it prints\n%s\nwant %q in it", text, want)
		}
	}
}
