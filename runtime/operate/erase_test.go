package operate

import "testing"

func TestTextsInRefusedJSON(t *testing.T) {
	for _, c := range []struct {
		json, text string
		want       bool
	}{
		{`{"subject":"jerry"}`, "jerry", true},
		{`{"order":{"buyers":[1,"tom","jerry"]}}`, "jerry", true},
		{`{"subject":"jerry mouse"}`, "jerry", false},
		{`{"subject":"Ren\u00e9"}`, "René", true}, // as Python writes it
		{`{"subject":"René"}`, "René", true},
		{`{"subject":"a\u0026b"}`, "a&b", true}, // as Go does
		{`{"subject":"a&b"}`, "a&b", true},
		{`{"subject":"a\/b"}`, "a/b", true}, // as PHP does
		{`{"subject":"\"jerry\""}`, "jerry", false},
		{`{"subject":"jerry",`, "jerry", true}, // refused, because it is cut off
		{`{"subject" "Ren\u00e9"}`, "René", true},
		{`{subject: "Ren\u00e9"}`, "René", true},
		{`{"a":"it"s","subject":"jerry"}`, "jerry", true},
		{"{\"a\":\"line\n\",\"subject\":\"jerry\"}", "jerry", true},
		{`{"subject":jerry}`, "jerry", false},
		{`{}{"subject":"jerry"}`, "jerry", true},
		{"", "jerry", false},
		{"\x0a\x05jerry", "jerry", false}, // a message, in which it is looked for otherwise
	} {
		if got := jsonHas([]byte(c.json), c.text); got != c.want {
			t.Errorf("%s has %s: %t, want %t", c.json, c.text, got, c.want)
		}
	}
}
