package keep

import (
	"errors"
	"fmt"
	"path"
)

// Nested returns an error that names each go.mod below root, other than its own, in or
// above a folder that files would be written to: what is there belongs to another
// module, and would not build.
func Nested(root *Root, files []File) error {
	seen := map[string]bool{".": true}
	var errs []error
	for _, file := range files {
		for dir := path.Dir(file.Path); !file.Leftover && !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			gomod := path.Join(dir, "go.mod")
			if _, err := root.Lstat(gomod); err == nil {
				errs = append(errs, fmt.Errorf("%s: %s is a module of its own, so %s would not be part of the module that is generated into: delete this go.mod, or change go_package", gomod, dir, file.Path))
			}
		}
	}
	return errors.Join(errs...)
}
