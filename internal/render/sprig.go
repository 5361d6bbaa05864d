package render

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

// fromSprig are the functions of sprig that a template may use. They return the
// same in every run, on every machine, and report wrong arguments.
var fromSprig = []Function{
	{Name: "lower", Doc: "text in lower case", Example: `lower "Orders"`},
	{Name: "upper", Doc: "text in upper case", Example: `upper "Orders"`},
	{Name: "title", Doc: "each word with a capital; for Go names use those of the model", Example: `title "order taken"`},
	{Name: "untitle", Doc: "each word without a capital", Example: `untitle "Order Taken"`},
	{Name: "snakecase", Doc: "words joined by underscores", Example: `snakecase "OrderTaken"`},
	{Name: "kebabcase", Doc: "words joined by dashes", Example: `kebabcase "OrderTaken"`},
	{Name: "plural", Doc: "one word or the other, by a number", Example: `plural "one event" "many events" 2`},
	{Name: "trim", Doc: "text without space around it", Example: `trim "  text "`},
	{Name: "trimAll", Doc: "text without certain letters around it", Example: `trimAll "/" "/a/b/"`},
	{Name: "trimPrefix", Doc: "text without its beginning", Example: `trimPrefix "shop." "shop.v1"`},
	{Name: "trimSuffix", Doc: "text without its end", Example: `trimSuffix ".v1" "shop.v1"`},
	{Name: "nospace", Doc: "text without any space", Example: `nospace "a b c"`},
	{Name: "trunc", Doc: "the first letters of a text, or its last if the number is negative", Example: `trunc 4 "shop.v1"`},
	{Name: "substr", Doc: "text from one letter up to another", Example: `substr 5 7 "shop.v1"`},
	{Name: "contains", Doc: "whether a text has another in it", Example: `contains "v1" "shop.v1"`},
	{Name: "hasPrefix", Doc: "whether a text begins with another", Example: `hasPrefix "shop" "shop.v1"`},
	{Name: "hasSuffix", Doc: "whether a text ends with another", Example: `hasSuffix "v1" "shop.v1"`},
	{Name: "replace", Doc: "text with each occurrence of one text replaced by another", Example: `replace "." "/" "shop.v1"`},
	{Name: "repeat", Doc: "text many times", Example: `repeat 3 "-"`},
	{Name: "cat", Doc: "values as text, with spaces between", Example: `cat "port" 8080`},
	{Name: "wrap", Doc: "text in lines of a width", Example: `wrap 12 "stores every event"`},
	{Name: "wrapWith", Doc: "text in parts of a width, with a separator between them", Example: `wrapWith 12 " / " "stores every event"`},
	{Name: "indent", Doc: "lines with spaces before each", Example: `indent 2 "a: 1"`},
	{Name: "nindent", Doc: "the same, on a new line", Example: `nindent 2 "a: 1"`},
	{Name: "quote", Doc: "text in double quotes, as in Go", Example: `quote "say \"hello\""`},
	{Name: "squote", Doc: "text in single quotes", Example: `squote "text"`},
	{Name: "toString", Doc: "a value as text", Example: `toString 1`},
	{Name: "regexMatch", must: "mustRegexMatch", Doc: "whether a regular expression matches a part of a text", Example: `regexMatch "v[0-9]+$" "shop.v1"`},
	{Name: "regexFind", must: "mustRegexFind", Doc: "the first match of a regular expression", Example: `regexFind "v[0-9]+" "shop.v1"`},
	{Name: "regexReplaceAll", must: "mustRegexReplaceAll", Doc: "text with all matches replaced", Example: `regexReplaceAll "[^a-z]+" "shop.v1" "-"`},

	{Name: "splitList", Doc: "the parts of a text, as a list", Example: `splitList "." "shop.v1"`},
	{Name: "join", Doc: "a list as text, with a separator", Example: `join ", " (list "a" "b")`},
	{Name: "sortAlpha", Doc: "a list in alphabetical order", Example: `sortAlpha (list "b" "a")`},
	{Name: "list", Doc: "a list of values", Example: `list "a" "b"`},
	{Name: "append", must: "mustAppend", Doc: "a list with one more item at its end", Example: `append (list "a") "b"`},
	{Name: "prepend", must: "mustPrepend", Doc: "a list with one more item at its beginning", Example: `prepend (list "b") "a"`},
	{Name: "concat", Doc: "lists as one", Example: `concat (list "a") (list "b")`},
	{Name: "first", must: "mustFirst", Doc: "the first item of a list", Example: `first (list "a" "b")`},
	{Name: "last", must: "mustLast", Doc: "the last item of a list", Example: `last (list "a" "b")`},
	{Name: "rest", must: "mustRest", Doc: "all items except the first", Example: `rest (list "a" "b")`},
	{Name: "initial", must: "mustInitial", Doc: "all items except the last", Example: `initial (list "a" "b")`},
	{Name: "reverse", must: "mustReverse", Doc: "a list in reverse order", Example: `reverse (list "a" "b")`},
	{Name: "uniq", must: "mustUniq", Doc: "each value once", Example: `uniq (list "a" "a")`},
	{Name: "without", must: "mustWithout", Doc: "a list without some values", Example: `without (list "a" "b") "a"`},
	{Name: "has", must: "mustHas", Doc: "whether a list has a value", Example: `has "a" (list "a" "b")`},
	{Name: "compact", must: "mustCompact", Doc: "a list without empty values", Example: `compact (list "a" "")`},
	{Name: "until", Doc: "the numbers from 0 to below another", Example: `until 3`},

	{Name: "default", Doc: "a value, or another one if it is empty", Example: `default "none" ""`},
	{Name: "coalesce", Doc: "the first value that is not empty", Example: `coalesce "" "b"`},
	{Name: "empty", Doc: "whether a value is empty", Example: `empty ""`},
	{Name: "all", Doc: "whether no value is empty", Example: `all "a" ""`},
	{Name: "any", Doc: "whether some value is not empty", Example: `any "a" ""`},
	{Name: "ternary", Doc: "one value if a condition is true, else another", Example: `ternary "yes" "no" true`},
	{Name: "dict", Doc: "values by name, such as several for a template that takes one value", Example: `dict "int32" "integer" "bool" "boolean"`},
	{Name: "get", Doc: "the value of a name", Example: `get (dict "int32" "integer") "int32"`},
	{Name: "hasKey", Doc: "whether there is a value of a name", Example: `hasKey (dict "int32" "integer") "bool"`},

	{Name: "add", Doc: "the sum of integers", Example: `add 1 2 3`},
	{Name: "add1", Doc: "an integer and 1", Example: `add1 1`},
	{Name: "sub", Doc: "a difference", Example: `sub 3 2`},
	{Name: "mul", Doc: "a product", Example: `mul 2 3`},
	{Name: "div", Doc: "a quotient, rounded towards 0", Example: `div 7 2`},
	{Name: "mod", Doc: "the remainder of a division", Example: `mod 7 2`},
	{Name: "max", Doc: "the greatest of integers", Example: `max 1 2`},
	{Name: "min", Doc: "the least of integers", Example: `min 1 2`},

	{Name: "base", Doc: "the last part of a path", Example: `base "shop/v1"`},
	{Name: "dir", Doc: "what is before it", Example: `dir "shop/v1"`},
	{Name: "ext", Doc: "the ending of a path", Example: `ext "shop.proto"`},
	{Name: "clean", Doc: "the shortest form of a path", Example: `clean "shop/./v1"`},
	{Name: "toJson", must: "mustToRawJson", Doc: "a value as JSON, which is also YAML; for text, numbers, lists and dicts only", Example: `toJson "a: \"b\""`},
	{Name: "toPrettyJson", must: "mustToPrettyJson", Doc: "the same, on several lines", Example: `toPrettyJson (list 1 2)`},
	{Name: "b64enc", Doc: "text in base64", Example: `b64enc "text"`},
	{Name: "sha256sum", Doc: "the SHA-256 of a text", Example: `trunc 16 (sha256sum "text")`},
	{Name: "fail", Doc: "ends the run with an error message", Example: ""},
}

// allowed are the functions that don't depend on the file.
var allowed = func() template.FuncMap {
	all, some := sprig.TxtFuncMap(), template.FuncMap{"comment": comment}
	for _, f := range fromSprig {
		some[f.Name] = all[cmp.Or(f.must, f.Name)]
	}
	return some
}()

// excluded are the functions of sprig that templates can't use, as regular
// expressions for their names, and why. The first that matches applies.
var excluded = []struct{ names, why string }{
	{`env|expandenv|getHostByName`, "reads the environment or the network, so that its result differs on another machine"},
	{`now|ago|date.*|(must_)?date_?[mM]odify|must(DateModify|ToDate)|date_in_zone|duration.*|htmlDate.*|toDate|unixEpoch`,
		"depends on the time, so that its result differs on another day"},
	{`rand.*|shuffle|uuidv4|gen.*|bcrypt|htpasswd|buildCustomCert|encryptAES|decryptAES|derivePassword`,
		"is for secrets and random values, and what is generated must be the same on every run"},
	{`keys|values|pluck|pick|omit|(must)?[mM]erge.*|set|unset|split|splitn`,
		"changes a map or lists its items, which have no order: use a list, or dict with get"},
	{`camelcase|swapcase|initials|abbrev|abbrevboth`,
		"spells names differently from Go and protoc-gen-go: use the names of the model"},
	{`os[A-Z].*`, "reads paths as the machine does on which it runs: use base, dir, ext and clean"},
	{`must[A-Z].*`, "is not needed: the function without must also ends the run on an error"},
}

// noSuchFunction returns the error for a function that templates don't have.
func noSuchFunction(name string) string {
	if _, ok := sprig.TxtFuncMap()[name]; ok {
		why := "is one of sprig's that they don't need"
		for _, r := range excluded {
			if regexp.MustCompile(`^(` + r.names + `)$`).MatchString(name) {
				why = r.why
				break
			}
		}
		return fmt.Sprintf("templates have no function %q: it %s (%s for those that they have)", name, why, manual)
	}
	var names []string
	for _, f := range Functions() {
		names = append(names, f.Name)
	}
	return fmt.Sprintf("templates have no function %q%s (%s for those that they have)", name, suggestion(name, slices.Concat(names, builtins)), manual)
}

// builtins are the functions that text/template has.
var builtins = []string{"and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print", "printf", "println", "slice", "urlquery"}
