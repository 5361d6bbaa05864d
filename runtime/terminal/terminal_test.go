package terminal

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "",
		"Hello, żółć 漢字 😀!":               "Hello, żółć 漢字 😀!",
		"x\nclient status: 0 received: y": `x\nclient status: 0 received: y`,
		"\r\t\x00\a":                      `\r\t\x00\a`,
		"\x1b]0;title\a\x1b[2J":           `\x1b]0;title\a\x1b[2J`,
		"\x7f\u0085\u009b31m":             `\x7f\u0085\u009b31m`,
		"a\u2028b\u2029c":                 `a\u2028b\u2029c`,
		"user\u202enimda\u2066":           `user\u202enimda\u2066`,
		"a\xffb":                          `a\xffb`,
	} {
		if got := Text(text); got != want {
			t.Errorf("%q is printed as %s, want %s", text, got, want)
		}
	}
}

func TestJSONMeansTheSame(t *testing.T) {
	const want = "żółć \u007f \u009b31m \u2028 \u202e \n 😀"
	raw := "{\n\t\"a\": \"żółć \u007f \u009b31m \u2028 \u202e \\n 😀\"\r\n}"
	safe := string(JSON([]byte(raw)))
	if got := "{\n\t\"a\": \"żółć \\u007f \\u009b31m \\u2028 \\u202e \\n 😀\"\r\n}"; safe != got {
		t.Errorf("it is\n%s, want\n%s", safe, got)
	}
	var decoded struct{ A string }
	if err := json.Unmarshal([]byte(safe), &decoded); err != nil || decoded.A != want {
		t.Errorf("it means %q, %v, want %q", decoded.A, err, want)
	}
	if plain := []byte(`{"a":"ä"}`); &JSON(plain)[0] != &plain[0] {
		t.Error("a text without such characters is copied")
	}
	if strings.ContainsFunc(safe, unsafeInJSON) {
		t.Error("it is not safe")
	}
}
