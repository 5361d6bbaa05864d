package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// Listed is a template as a list of them tells it.
type Listed struct {
	Path  string // in the tree, if it is ours; else where it stands
	Scope string
	Owner string // whose the file is that it makes; "none" if it makes none
	// Standing is what the user's tree has to do with it: one of ours is "kept",
	// "replaced", "replaced for" some variants or "dropped"; one of the user's
	// "replaces" one of ours or is "added".
	Standing string
}

// List tells of all templates, by their scopes and paths; those of a user stand
// behind the ones of ours that they replace.
func List(ours, house []File) ([]Listed, error) {
	if _, err := Parse(ours, house); err != nil {
		return nil, err
	}
	own, err := Parse(ours, nil) // with those that are replaced
	if err != nil {
		return nil, err
	}
	theirs, err := Parse(nil, house)
	if err != nil {
		return nil, err
	}
	var list []Listed
	for _, scope := range model.Scopes {
		places := slices.Concat(own.places[scope.Name], theirs.places[scope.Name])
		slices.SortStableFunc(places, func(a, b *place) int { return cmp.Compare(a.pattern, b.pattern) })
		for _, p := range places {
			for _, s := range p.sources {
				list = append(list, s.listed(own.place(s), theirs.place(s)))
			}
		}
	}
	return list, nil
}

// listed tells of a template whose path has some templates of ours and some of
// the user's.
func (s *source) listed(ours, house *place) Listed {
	listed := Listed{Path: s.file.Name, Scope: s.scope.Name, Owner: string(s.owner), Standing: "kept"}
	if s.none {
		listed.Owner = "none"
	}
	switch {
	case !s.file.house && house != nil:
		listed.Standing = s.loses(house.sources)
	case s.file.house:
		listed.Path, listed.Standing = s.file.At, "added"
		if ours != nil && slices.ContainsFunc(ours.sources, func(other *source) bool { return overlap(s, other) }) {
			listed.Standing = "replaces"
		}
	}
	return listed
}

// loses says what becomes of a template of ours beside those of a user.
func (s *source) loses(house []*source) string {
	var variants []string
	for _, other := range house {
		switch {
		case other.hides(s) && other.none:
			return "dropped"
		case other.hides(s):
			return "replaced"
		case overlap(s, other):
			variants = append(variants, other.variant)
		}
	}
	if len(variants) == 0 {
		return "kept"
	}
	return fmt.Sprintf("replaced for %s", strings.Join(variants, ", "))
}

// overlap reports whether there can be an element that two templates are for.
func overlap(a, b *source) bool { return a.variant == "" || b.variant == "" || a.variant == b.variant }
