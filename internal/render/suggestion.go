package render

import "github.com/protoc-gen-receiver/protoc-gen-receiver/internal/spelling"

// suggestion returns the question whether a similar name was meant, or "" if there
// is none.
func suggestion(name string, names []string) string {
	if near := spelling.Nearest(name, names); near != "" {
		return ", did you mean " + near + "?"
	}
	return ""
}
