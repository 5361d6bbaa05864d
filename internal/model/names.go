package model

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// snake spells a Go name as a file name: HTTPStatus becomes http_status.
func snake(name string) string {
	var b strings.Builder
	letters := []rune(name)
	for i, r := range letters {
		if unicode.IsUpper(r) && i > 0 && letters[i-1] != '_' &&
			(!unicode.IsUpper(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// dashed spells a Go name as a word on the command line.
func dashed(name string) string { return strings.ReplaceAll(snake(name), "_", "-") }

// flat spells a Go name as the name of a package.
func flat(name string) string { return strings.ReplaceAll(snake(name), "_", "") }

// base is what role packages are named after: the package of the messages less
// a trailing pb, unless nothing else is left.
func base(goName string) string {
	if short := strings.TrimSuffix(goName, "pb"); short != "" {
		return short
	}
	return goName
}

var version = regexp.MustCompile(`^v[0-9]+((alpha|beta|p)[0-9]*)*$`)

// program is the program that serves a proto package: its name dashed, less
// its version; without a package, the name of the file.
func program(protoPackage, protoFile string) string {
	if protoPackage == "" {
		file := protoFile[strings.LastIndex(protoFile, "/")+1:]
		return strings.ReplaceAll(strings.TrimSuffix(file, ".proto"), "_", "-")
	}
	parts := strings.Split(protoPackage, ".")
	if last := len(parts) - 1; last > 0 && version.MatchString(parts[last]) {
		parts = parts[:last]
	}
	return strings.ReplaceAll(strings.Join(parts, "-"), "_", "-")
}

// general are the flags that every subcommand of a client has; one that sends
// events has eventID besides, unless the event has its id in a field.
var general = []string{"addr", "timeout", "json", "insecure", "ca", "help", "h"}

const eventID = "event-id"

// flag is the flag of a field; a name that is taken gives way.
func flag(protoName string, taken []string) string {
	name := strings.Trim(strings.ReplaceAll(protoName, "_", "-"), "-")
	if name == "" || slices.Contains(taken, name) {
		return "request-" + name
	}
	return name
}
