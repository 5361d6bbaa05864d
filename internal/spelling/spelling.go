// Package spelling finds the word that was meant by a misspelt one.
package spelling

import "strings"

// Nearest returns the word that is most similar to another, or "" if more than a
// third of it would have to change. Upper and lower case are the same.
func Nearest(word string, words []string) (near string) {
	least := len(word)/3 + 1
	for _, other := range words {
		if d := Distance(strings.ToLower(word), strings.ToLower(other)); d < least || d == least && near == "" {
			least, near = d, other
		}
	}
	return near
}

// Distance returns how many bytes must be inserted, deleted, replaced or swapped
// with the next to turn one word into another.
func Distance(a, b string) int {
	var before, row []int // for all of a but its last two bytes, and its last one
	next := make([]int, len(b)+1)
	for j := range next {
		next[j] = j
	}
	for i := range len(a) {
		before, row, next = row, next, make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			replaced := row[j]
			if a[i] != b[j] {
				replaced++
			}
			next[j+1] = min(replaced, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
	}
	return next[len(b)]
}
