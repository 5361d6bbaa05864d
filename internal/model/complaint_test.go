package model

import "testing"

func TestComplaintsOfOneCauseAreOneLine(t *testing.T) {
	complaint := func(file string, line int, text, cause string) Complaint {
		return Complaint{File: file, Line: line, Column: 1, Text: text, cause: cause}
	}
	for _, test := range []struct {
		complaints Complaints
		want       string
	}{
		{Complaints{complaint("a.proto", 1, "one", ""), complaint("b.proto", 2, "two", "")}, "a.proto:1:1: one\nb.proto:2:1: two"},
		{Complaints{complaint("a.proto", 1, "one", "x"), complaint("b.proto", 2, "two", "y"), complaint("c.proto", 3, "three", "x")},
			"a.proto:1:1: one (and 1 more: c.proto:3:1)\nb.proto:2:1: two"},
		{Complaints{complaint("a.proto", 1, "one", "x"), complaint("a.proto", 1, "another", "x")}, "a.proto:1:1: one (and 1 more: a.proto:1:1)"},
		{Complaints{complaint("a.proto", 1, "one", "x"), complaint("a.proto", 2, "one", "x"), complaint("a.proto", 3, "one", "x"), complaint("a.proto", 4, "one", "x"), complaint("a.proto", 5, "one", "x")},
			"a.proto:1:1: one (and 4 more: a.proto:2:1, a.proto:3:1, a.proto:4:1, …)"},
	} {
		if got := test.complaints.Error(); got != test.want {
			t.Errorf("the error is\n%s\nwant\n%s", got, test.want)
		}
	}
}
