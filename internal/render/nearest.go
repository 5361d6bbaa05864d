package render

import "strings"

// suggestion asks whether one of the names was meant that is spelled much the
// same, or is empty.
func suggestion(name string, names []string) string {
	if near := nearest(name, names); near != "" {
		return ", did you mean " + near + "?"
	}
	return ""
}

// nearest is the name that is spelled most like another, or "" if none is
// alike: more than a third of it would have to change.
func nearest(name string, names []string) (near string) {
	least := len(name)/3 + 1
	for _, other := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(other)); d < least || d == least && near == "" {
			least, near = d, other
		}
	}
	return near
}

// distance is how many letters must be put in, taken out or replaced to make
// one word of another (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0] // of the row above, one to the left
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
