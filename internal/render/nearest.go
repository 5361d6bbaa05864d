package render

import "strings"

// suggestion returns the question whether a similar name was meant, or "" if there
// is none.
func suggestion(name string, names []string) string {
	if near := nearest(name, names); near != "" {
		return ", did you mean " + near + "?"
	}
	return ""
}

// nearest returns the name that is most similar to another, or "" if more than a
// third of it would have to change.
func nearest(name string, names []string) (near string) {
	least := len(name)/3 + 1
	for _, other := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(other)); d < least || d == least && near == "" {
			least, near = d, other
		}
	}
	return near
}

// distance returns how many letters must be inserted, deleted or replaced to turn
// one word into another (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0] // the entry above and to the left
		row[0] = i + 1
		for j := range len(b) {
			replaced := before
			if a[i] != b[j] {
				replaced++
			}
			before = row[j+1]
			row[j+1] = min(replaced, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
