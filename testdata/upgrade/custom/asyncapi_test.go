// Package shop_test checks what this house adds to what is generated.
package shop_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// object is a mapping of the document.
type object = map[string]any

func read(t *testing.T) object {
	t.Helper()
	text, err := os.ReadFile("asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var document object
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return document
}

// at is what stands in an object under names, or an error that says which of
// them it has not.
func at(in any, names ...string) (any, error) {
	for _, name := range names {
		of, _ := in.(object)
		if in = of[name]; in == nil {
			return nil, fmt.Errorf("there is no %s in %v", name, of)
		}
	}
	return in, nil
}

// TestRequiredFields are there: those that AsyncAPI 3.0 requires of each object
// that the document has.
func TestRequiredFields(t *testing.T) {
	document := read(t)
	need := func(in any, names ...string) {
		for _, name := range names {
			if _, err := at(in, name); err != nil {
				t.Error(err)
			}
		}
	}
	need(document, "asyncapi", "info")
	need(document["info"], "title", "version")
	if document["asyncapi"] != "3.0.0" {
		t.Errorf("it is of AsyncAPI %v", document["asyncapi"])
	}
	for of, names := range map[string][]string{
		"servers":    {"host", "protocol"},
		"channels":   {"address", "messages"},
		"operations": {"action", "channel"},
	} {
		all, _ := document[of].(object)
		if len(all) == 0 {
			t.Errorf("there are no %s", of)
		}
		for _, one := range all {
			need(one, names...)
		}
	}
}

// TestReferences lead to something in the document.
func TestReferences(t *testing.T) {
	document, checked := read(t), 0
	var walk func(in any)
	walk = func(in any) {
		switch in := in.(type) {
		case []any:
			for _, one := range in {
				walk(one)
			}
		case object:
			for name, one := range in {
				walk(one)
				if path, found := strings.CutPrefix(fmt.Sprint(one), "#/"); name == "$ref" && found {
					checked++
					if _, err := at(document, strings.Split(path, "/")...); err != nil {
						t.Errorf("%v: %v", one, err)
					}
				}
			}
		}
	}
	walk(document)
	if checked < 10 {
		t.Errorf("there are %d references", checked)
	}
}

func TestOperationsAreWhatTheProtoSays(t *testing.T) {
	document := read(t)
	for operation, want := range map[string]string{
		"shop.v1.Orders.Report":    "receive",
		"shop.v1.Orders.ReportAll": "receive",
		"shop.v1.Orders.Follow":    "send",
	} {
		if action, err := at(document, "operations", operation, "action"); err != nil || action != want {
			t.Errorf("the action of %s is %v (%v), want %s", operation, action, err, want)
		}
	}
	if _, err := at(document, "operations", "shop.v1.Orders.Get"); err == nil {
		t.Error("Get has nothing to do with events, and is an operation")
	}
	for field, want := range map[string]string{"occurredAt": "string", "tags": "array", "payload": "object", "priority": "string"} {
		got, err := at(document, "components", "schemas", "shop.v1.OrderEvent", "properties", field, "type")
		if err != nil || got != want {
			t.Errorf("the type of %s is %v (%v), want %s", field, got, err, want)
		}
	}
}
