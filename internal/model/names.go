package model

import (
	"fmt"
	"go/token"
	"hash/fnv"
	"path"
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
func dashed(name string) string {
	return strings.Trim(strings.ReplaceAll(snake(name), "_", "-"), "-")
}

// maxName is the most bytes of a name that becomes part of a file's: with what
// is added it must fit into the 255 that a disk allows.
const maxName = 120

// short cuts a name that is too long, and adds a number by which it differs from
// others that begin the same.
func short(name string) string {
	if len(name) <= maxName {
		return name
	}
	sum := fnv.New32a()
	sum.Write([]byte(name))
	return fmt.Sprintf("%s_%08x", name[:maxName-9], sum.Sum32())
}

// devices are names that no file and no folder can have on Windows.
var devices = regexp.MustCompile(`^(aux|con|nul|prn|com[0-9]|lpt[0-9])$`)

// constrained are the endings by which the Go command takes a file for one of
// tests, or of one system alone (go help buildconstraint).
var constrained = regexp.MustCompile(`_(test|aix|android|darwin|dragonfly|freebsd|hurd|illumos|ios|js|linux|nacl|netbsd|` +
	`openbsd|plan9|solaris|wasip1|wasip2|windows|zos|386|amd64|amd64p32|arm|armbe|arm64|arm64be|loong64|mips|mipsle|mips64|` +
	`mips64le|mips64p32|mips64p32le|ppc|ppc64|ppc64le|riscv|riscv64|s390|s390x|sparc|sparc64|wasm)$`)

// Constrained reports whether a Go file is a test or for one system alone, by
// its name without the ending.
func Constrained(stem string) bool { return constrained.MatchString(stem) }

// onlyFor returns the system or processor for which alone the Go command builds a
// file of a name, "" for any. It reads the name up to the first dot, and not an
// ending for tests there: dev_windows.pb.go is for windows.
func onlyFor(name string) string {
	stem, _, _ := strings.Cut(name, ".")
	only := constrained.FindStringSubmatch(strings.TrimSuffix(stem, "_test"))
	if only == nil || only[1] == "test" {
		return ""
	}
	return only[1]
}

// Constraint returns the build constraint that a Go file has by its name without the
// ending; "" if it has none.
func Constraint(stem string) (expr string) {
	for constrained.MatchString(stem) {
		i := strings.LastIndexByte(stem, '_')
		if expr != "" {
			expr = " && " + expr
		}
		stem, expr = stem[:i], stem[i+1:]+expr
	}
	return expr
}

// stem returns the name of a Go file, without its ending, for something with a Go
// name: one that means nothing to the Go command, and that no other file of its
// folder has, on a disk that ignores case either. If its own name won't do, what
// it is, such as rpc, is added.
func (b *builder) stem(dir, name, what string, reserved ...string) string {
	plain := short(strings.TrimLeft(snake(name), "_"))
	stem := plain
	for i := 1; constrained.MatchString(stem) || devices.MatchString(stem) || slices.Contains(reserved, stem) || b.files[dir+"/"+stem]; i++ {
		stem = plain + "_" + what
		if i > 1 {
			stem += fmt.Sprint(i)
		}
	}
	b.files[dir+"/"+stem] = true
	return stem
}

// packageName spells a Go name as the name of a package, and of its folder.
func packageName(name string) string {
	plain := strings.ReplaceAll(strings.ToLower(name), "_", "")
	if plain != "" && unicode.IsDigit(rune(plain[0])) {
		plain = "x" + plain
	}
	return dirName(short(plain))
}

// dirName returns a name for a folder that has no special meaning to the Go
// command.
func dirName(name string) string {
	plain := strings.TrimLeft(strings.ToLower(name), "_.")
	switch plain {
	case "":
		return "x_"
	case "internal", "vendor", "testdata", "main", "init", "documentation":
		return plain + "_"
	}
	if token.IsKeyword(plain) || devices.MatchString(plain) || plain != strings.ToLower(name) {
		return plain + "_"
	}
	return plain
}

// protoDir returns the folder of a proto package: shop/v1 for shop.v1.
func protoDir(protoPackage string) string {
	var dirs []string
	for part := range strings.SplitSeq(protoPackage, ".") {
		if part != "" {
			dirs = append(dirs, dirName(short(part)))
		}
	}
	return path.Join(dirs...)
}

// base returns what role packages are named after: the package of the messages
// without a trailing pb, unless nothing else is left, and without underscores at
// its ends, which would make a role package a test, or hide it.
func base(goName string) string {
	name := strings.Trim(goName, "_")
	if name == "" || '0' <= name[0] && name[0] <= '9' {
		return "pb" + name // a name begins with a letter
	}
	if short := strings.Trim(strings.TrimSuffix(name, "pb"), "_"); short != "" {
		return short
	}
	return name
}

var version = regexp.MustCompile(`^v[0-9]+((alpha|beta|p)[0-9]*)*$`)

// versionOf returns the version that a proto package's name ends in, or "".
func versionOf(protoPackage string) string {
	last := protoPackage[strings.LastIndex(protoPackage, ".")+1:]
	if last != protoPackage && version.MatchString(last) {
		return last
	}
	return ""
}

var notInPrograms = regexp.MustCompile(`[^a-z0-9]+`)

// program returns the name of the program that serves a proto package: that of the
// package with dashes and without its version, or of the file if there is none.
func program(protoPackage, protoFile string) string {
	name := protoPackage
	if name == "" {
		name = strings.TrimSuffix(path.Base(protoFile), ".proto")
	} else if v := versionOf(name); v != "" {
		name = strings.TrimSuffix(name, "."+v)
	}
	name = strings.Trim(notInPrograms.ReplaceAllString(strings.ToLower(short(name)), "-"), "-")
	if name == "" {
		return "app"
	}
	return name
}

// general are the flags that every subcommand of a client has; one that sends
// events has eventID besides, unless a field of the request has that flag. Those for
// authentication are not here: they came later and leave their name to a field, see
// runtime/command.
var general = []string{"addr", "timeout", "json", "insecure", "ca", "help", "h"}

const eventID = "event-id"

// flags gives each field of a message a flag; a name that is taken gives way.
func flags(fields []*Field, taken []string) {
	taken = slices.Clone(taken)
	for _, field := range fields {
		plain := strings.Trim(strings.ReplaceAll(field.ProtoName, "_", "-"), "-")
		field.Flag = plain
		for i := 1; field.Flag == "" || slices.Contains(taken, field.Flag); i++ {
			field.Flag = "request-" + plain
			if i > 1 {
				field.Flag += fmt.Sprint(i)
			}
		}
		taken = append(taken, field.Flag)
	}
}
