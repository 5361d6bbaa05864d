package render

import (
	"maps"
	"regexp"
	"slices"

	"github.com/Masterminds/sprig/v3"
)

// For the manual.
var (
	Ours      = ours
	FromSprig = fromSprig
	ForRender = forRender
)

// Refusal is why templates have no use of some functions of sprig.
type Refusal struct {
	Why   string
	Names []string
}

// Refusals are those with a reason of their own.
func Refusals() (all []Refusal) {
	said := map[string]bool{}
	for _, r := range refused {
		refusal := Refusal{Why: r.why}
		for _, name := range slices.Sorted(maps.Keys(sprig.TxtFuncMap())) {
			if regexp.MustCompile(`^(`+r.names+`)$`).MatchString(name) && !said[name] {
				said[name] = true
				refusal.Names = append(refusal.Names, name)
			}
		}
		all = append(all, refusal)
	}
	return all
}
