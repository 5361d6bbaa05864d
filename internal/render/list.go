package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/internal/model"
)

// Listed is a template in a list.
type Listed struct {
	Path  string // in the tree, if it is ours; else on disk
	Scope string
	Owner string // the owner of the files that it makes; "none" if it makes none
	// Status is how it relates to the override folder: one of ours is "kept",
	// "replaced", "replaced for" some variants or "dropped"; one of the user's
	// "replaces" one of ours or is "added".
	Status string
}

// List returns all templates, sorted by scope and path. A template of the user
// follows the ones of ours that it replaces.
func List(ours, overrides []File) ([]Listed, error) {
	if _, err := Parse(ours, overrides); err != nil {
		return nil, err
	}
	own, err := Parse(ours, nil) // including those that are replaced
	if err != nil {
		return nil, err
	}
	theirs, err := Parse(nil, overrides)
	if err != nil {
		return nil, err
	}
	var list []Listed
	for _, scope := range model.Scopes {
		targets := slices.Concat(own.targets[scope.Name], theirs.targets[scope.Name])
		slices.SortStableFunc(targets, func(a, b *target) int { return cmp.Compare(a.pattern, b.pattern) })
		for _, p := range targets {
			for _, s := range p.sources {
				list = append(list, s.listed(own.target(s), theirs.target(s)))
			}
		}
	}
	return list, nil
}

// listed returns the entry of a template. ours and overrides are the templates for
// its path; each is nil if there are none.
func (s *source) listed(ours, overrides *target) Listed {
	listed := Listed{Path: s.file.Name, Scope: s.scope.Name, Owner: string(s.owner), Status: "kept"}
	if s.none {
		listed.Owner = "none"
	}
	switch {
	case !s.file.override && overrides != nil:
		listed.Status = s.statusBeside(overrides.sources)
	case s.file.override:
		listed.Path, listed.Status = s.file.At, "added"
		if ours != nil && slices.ContainsFunc(ours.sources, func(other *source) bool { return overlap(s, other) }) {
			listed.Status = "replaces"
		}
	}
	return listed
}

// statusBeside returns the status of a template of ours, given the user's templates
// for the same path.
func (s *source) statusBeside(overrides []*source) string {
	var variants []string
	for _, other := range overrides {
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

// overlap reports whether there can be an element to which two templates apply.
func overlap(a, b *source) bool { return a.variant == "" || b.variant == "" || a.variant == b.variant }
