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

// Exclusion is why templates can't use some functions of sprig.
type Exclusion struct {
	Why   string
	Names []string
}

// Exclusions returns those that have a specific reason.
func Exclusions() (all []Exclusion) {
	seen := map[string]bool{}
	for _, r := range excluded {
		exclusion := Exclusion{Why: r.why}
		for _, name := range slices.Sorted(maps.Keys(sprig.TxtFuncMap())) {
			if regexp.MustCompile(`^(`+r.names+`)$`).MatchString(name) && !seen[name] {
				seen[name] = true
				exclusion.Names = append(exclusion.Names, name)
			}
		}
		all = append(all, exclusion)
	}
	return all
}
