package fuzz

import (
	"fmt"
	"slices"
	"strings"
)

// dice makes choices from bytes. After the last byte it always chooses the first
// possibility, so that short inputs make small protos.
type dice struct{ bytes []byte }

// below returns a number from 0 to max-1.
func (d *dice) below(max int) int {
	n := 0
	for span := 1; span < max; span *= 256 {
		n *= 256
		if len(d.bytes) > 0 {
			n += int(d.bytes[0])
			d.bytes = d.bytes[1:]
		}
	}
	return n % max
}

// once reports true one time in a number of times, and never without bytes.
func (d *dice) once(in int) bool { return d.below(in) == in-1 }

func pick[T any](d *dice, of ...T) T { return of[d.below(len(of))] }

// input is the input of a run.
type input struct {
	module    string
	parameter string
	files     []*protoFile
	generate  []string // the names of the files to generate for
}

// protoFile is a proto as text.
type protoFile struct {
	name, pkg, goPackage, syntax string

	text     strings.Builder
	imports  []string
	messages []*message // those of its imports, and those that it declares
	enums    []string
	own      int // how many of messages are its own, at the end
}

type message struct {
	full     string
	event    bool
	extended bool
}

// generator writes protos with choices of the dice.
type generator struct {
	*dice
	taken map[string]map[string]bool // the names in each scope
	files []*protoFile
}

// newInput returns protos from bytes. The same bytes make the same protos.
func newInput(bytes []byte) input {
	g := &generator{dice: &dice{bytes}, taken: map[string]map[string]bool{}}
	in := input{module: modulePaths[0]}
	if g.once(8) {
		in.module = pick(g.dice, modulePaths...)
	}
	in.parameter = "events=" + pick(g.dice, "auto", "auto", "auto", "names", "off")
	for range 1 + pick(g.dice, 0, 0, 0, 1, 1, 2) {
		g.file(in.module)
	}
	in.files = g.files
	for i, file := range in.files {
		if i == len(in.files)-1 || !g.once(5) {
			in.generate = append(in.generate, file.name)
		}
	}
	if g.once(4) {
		slices.Reverse(in.generate)
	}
	return in
}

// String returns the input as text.
func (in input) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "module %s, %s, generate %q\n", in.module, in.parameter, in.generate)
	for _, file := range in.files {
		fmt.Fprintf(&b, "-- %s --\n%s", file.name, file.text.String())
	}
	return b.String()
}

func (g *generator) goPackage(module string) string {
	switch g.below(8) {
	case 3:
		if g.once(10) {
			return pick(g.dice, module+pick(g.dice, rareOwnGoPackages...), pick(g.dice, rareOtherGoPackages...))
		}
		fallthrough
	default:
		return module + "/gen/" + strings.ToLower(pick(g.dice, plainWords...)) + "pb"
	case 4, 5:
		return module + pick(g.dice, ownGoPackages...)
	case 6:
		return pick(g.dice, otherGoPackages...)
	case 7:
		return module + "/gen/x" + strings.ToLower(short(g.name()))
	}
}

func (g *generator) file(module string) {
	f := &protoFile{name: g.fresh("", func() string { return pick(g.dice, fileNames...) }, ".proto"), pkg: "shop.v1", goPackage: g.goPackage(module)}
	if g.once(2) {
		f.pkg = pick(g.dice, evilProtoPackages...)
		if g.once(30) {
			f.pkg = pick(g.dice, rareProtoPackages...)
		}
	}
	if len(g.files) > 0 {
		before := g.files[len(g.files)-1]
		switch g.below(4) {
		case 1:
			f.pkg, f.goPackage = before.pkg, before.goPackage
		case 2:
			f.pkg = before.pkg
		case 3:
			f.goPackage = before.goPackage
		}
	}
	f.syntax = pick(g.dice, "proto3", "proto3", "proto3", "proto2", "2023")
	for _, other := range g.files {
		if g.once(2) {
			f.imports = append(f.imports, other.name)
			for _, m := range other.messages[:other.own] {
				f.messages = append([]*message{m}, f.messages...)
			}
		}
	}
	imported := len(f.messages)
	body := &f.text
	var known []*message
	for _, wkt := range []string{"Timestamp", "Empty", "Struct", "Duration", "Any", "FieldMask", "wrappers", "Value"} {
		if wkt != "Timestamp" && wkt != "Empty" && !g.once(4) {
			continue
		}
		name, file := wkt, strings.ToLower(wkt)
		switch wkt {
		case "wrappers":
			name = "StringValue"
		case "FieldMask":
			file = "field_mask"
		case "Value":
			file = "struct"
		}
		f.imports = append(f.imports, "google/protobuf/"+file+".proto")
		known = append(known, &message{full: "google.protobuf." + name})
	}
	slices.Sort(f.imports)
	f.imports = slices.Compact(f.imports)

	var inner strings.Builder
	f.own = 0
	foreign := append(slices.Clone(f.messages[:imported]), known...)
	f.messages = nil
	for range 1 + g.below(5) {
		g.message(&inner, f, f.pkg, "", foreign, 0)
	}
	if g.once(3) {
		g.enum(&inner, f, f.pkg, "")
	}
	if f.syntax == "proto2" && g.once(3) {
		g.extension(&inner, f)
	}
	f.own = len(f.messages)
	all := append(slices.Clone(f.messages), foreign...)
	if len(g.files) == 0 || !g.once(4) {
		for range 1 + pick(g.dice, 0, 0, 1, 2) {
			g.service(&inner, f, all)
		}
	}

	switch f.syntax {
	case "2023":
		body.WriteString("edition = \"2023\";\n")
	default:
		fmt.Fprintf(body, "syntax = %q;\n", f.syntax)
	}
	if f.pkg != "" {
		fmt.Fprintf(body, "package %s;\n", f.pkg)
	}
	opaque := ""
	if f.syntax == "2023" && g.once(2) {
		opaque = pick(g.dice, "API_OPAQUE", "API_HYBRID", "API_OPEN")
		f.imports = append(f.imports, "google/protobuf/go_features.proto")
	}
	for _, name := range f.imports {
		fmt.Fprintf(body, "import %q;\n", name)
	}
	fmt.Fprintf(body, "option go_package = %q;\n", f.goPackage)
	if opaque != "" {
		fmt.Fprintf(body, "option features.(pb.go).api_level = %s;\n", opaque)
	}
	body.WriteString(inner.String())
	g.files = append(g.files, f)
}

// name returns any name.
func (g *generator) name() string {
	word := func() string {
		switch g.below(5) {
		default:
			return pick(g.dice, plainWords...)
		case 2, 3:
			return pick(g.dice, evilWords...)
		case 4:
			letters := []byte{pick(g.dice, []byte("abxABX_")...)}
			for range g.below(9) {
				letters = append(letters, pick(g.dice, []byte("abcxyzABCXYZ019_")...))
			}
			return string(letters)
		}
	}
	name := word()
	if g.once(5) {
		name += pick(g.dice, "", "_", "__") + word()
	}
	switch g.below(10) {
	case 6:
		name = strings.ToLower(name)
	case 7:
		name = strings.ToUpper(name)
	case 8:
		name = strings.ToUpper(name[:1]) + name[1:]
	case 9:
		name += pick(g.dice, "Test", "Linux", "_windows", "Client", "Server", "Event", "_", "Service", "_grpc", "Request", "1", "Log", "pb")
	}
	return name
}

// fresh returns a name that the scope does not have. Mostly it also differs from the
// names of the scope by more than case and underscores.
func (g *generator) fresh(scope string, make func() string, ending string) string {
	if g.taken[scope] == nil {
		g.taken[scope] = map[string]bool{}
	}
	close := !g.once(12)
	name := make()
	alike := func() string { return "alike " + strings.ToLower(strings.ReplaceAll(name, "_", "")) }
	for i := 1; g.taken[scope][name] || close && g.taken[scope][alike()]; i++ {
		name = strings.TrimSuffix(make(), ending) + fmt.Sprint("x", i) + ending
	}
	g.taken[scope][name], g.taken[scope][alike()] = true, true
	return name
}

// short returns a name that is short enough for a folder.
func short(name string) string { return name[:min(len(name), 100)] }

func join(scope, name string) string { return strings.TrimPrefix(scope+"."+name, ".") }

var fieldComments = []string{"id", "source", "type", "subject", "time", "time=s", "time=ms", "time=us", "time=ns", "data",
	"position", "event_id", "duplicate", "recorded_time", "recorded_time=us", "none", "when", ""}

// comment writes a comment, or none, or one with a line for the plugin.
func (g *generator) comment(out *strings.Builder, indent string, often int, directives ...string) {
	if g.once(often) {
		directives := directives
		if g.once(20) {
			directives = []string{"event", "plain", "tail", "id", "no such thing", "time=ms"}
		}
		if len(directives) > 0 && g.once(2) {
			fmt.Fprintf(out, "%s// receiver:%s\n", indent, pick(g.dice, directives...))
			return
		}
		open, close, begin := "", "", indent+"// "
		if g.once(4) {
			open, close, begin = indent+"/*\n", indent+" */\n", indent+" * "
		}
		out.WriteString(open)
		for range 1 + g.below(3) {
			text := pick(g.dice, prose...)
			if g.once(100) {
				text = pick(g.dice, rareProse...)
			}
			fmt.Fprintf(out, "%s%s\n", begin, text)
		}
		if len(directives) > 0 && g.once(4) {
			fmt.Fprintf(out, "%sreceiver:%s\n", begin, pick(g.dice, directives...))
		}
		out.WriteString(close)
	}
}

var scalars = []string{
	"string", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64", "bool", "bytes", "float", "double",
}

var roles = [][2]string{
	{"type", "string"}, {"source", "string"}, {"user_id", "string"}, {"event_time", ".google.protobuf.Timestamp"}, {"xwhat", "string"}, {"xwho", "string"},
	{"xwhen", "int32"}, {"event_id", "string"}, {"appid", "string"}, {"timestamp_ms", "int64"}, {"time", "int64"}, {"payload", "bytes"}, {"data", "string"},
	{"subject", "int64"}, {"occurred_at_nanos", "uint64"}, {"tenant", "bytes"}, {"event_name", "string"}, {"time_s", "fixed32"},
	{"position", "uint64"}, {"duplicate", "bool"}, {"duplicates", "sint32"}, {"recorded_time", ".google.protobuf.Timestamp"}, {"recorded_time_ms", "int64"},
	{"message", "string"}, {"count", "int32"},
}

var replies = [][2]string{
	{"message", "string"}, {"count", "uint32"}, {"received", "int64"}, {"after", "uint64"}, {"position", "int32"}, {"since", ".google.protobuf.Timestamp"},
	{"from", ".google.protobuf.Timestamp"}, {"stored", "sint32"}, {"accepted", "fixed64"}, {"message", "bytes"},
}

func (g *generator) label(f *protoFile) string {
	switch f.syntax {
	case "proto2":
		return pick(g.dice, "optional ", "optional ", "optional ", "repeated ", "required ")
	case "proto3":
		return pick(g.dice, "", "", "", "repeated ", "optional ")
	}
	return pick(g.dice, "", "", "", "repeated ")
}

func singularLabel(f *protoFile) string {
	if f.syntax == "proto2" {
		return "optional "
	}
	return ""
}

// message writes a message and the declarations in it.
func (g *generator) message(out *strings.Builder, f *protoFile, scope, indent string, foreign []*message, depth int) {
	event, holder := g.once(3), g.once(6)
	name := g.fresh(scope, func() string {
		if event && !g.once(6) {
			return g.name() + "Event"
		}
		return g.name()
	}, "")
	m := &message{full: join(scope, name), event: event}
	g.comment(out, indent, 5, "event", "plain")
	fmt.Fprintf(out, "%smessage %s {\n", indent, name)
	indent += "  "
	if depth < 2 && g.once(4) {
		g.message(out, f, m.full, indent, foreign, depth+1)
	}
	if g.once(6) {
		g.enum(out, f, m.full, indent)
	}
	number := 0
	fieldName := func() string { return g.fresh("fields of "+m.full, g.name, "") }
	field := func(label, kind, name string) {
		number++
		often := 12
		if event {
			often = 5
		}
		g.comment(out, indent, often, fieldComments[:len(fieldComments)-2]...)
		options := ""
		switch {
		case g.once(30):
			options = " [deprecated = true]"
		case g.once(30):
			options = fmt.Sprintf(" [json_name = %q]", g.name()+fmt.Sprint(number))
		}
		fmt.Fprintf(out, "%s%s%s %s = %d%s;", indent, label, kind, name, number, options)
		if event && g.once(10) || g.once(60) {
			fmt.Fprintf(out, " // receiver:%s", pick(g.dice, fieldComments...))
		}
		out.WriteString("\n")
	}
	given := func(of [][2]string) {
		one := pick(g.dice, of...)
		if scope := "fields of " + m.full; g.taken[scope][one[0]] || g.taken[scope]["alike "+strings.ReplaceAll(one[0], "_", "")] {
			return
		}
		name := g.fresh("fields of "+m.full, func() string { return one[0] }, "")
		if g.once(12) {
			one[1] = pick(g.dice, scalars...)
		}
		label := singularLabel(f)
		if g.once(12) {
			label = g.label(f)
		}
		field(label, one[1], name)
	}
	if event {
		if !g.once(8) {
			g.taken["fields of "+m.full] = map[string]bool{"type": true, "source": true, "alike type": true, "alike source": true}
			field(singularLabel(f), "string", "type")
			field(singularLabel(f), "string", "source")
		}
		for range g.below(5) {
			given(roles)
		}
	}
	if holder {
		var events []*message
		for _, other := range append(slices.Clone(f.messages), foreign...) {
			if other.event {
				events = append(events, other)
			}
		}
		if len(events) > 0 {
			field(g.label(f), "."+pick(g.dice, events...).full, fieldName())
		}
	}
	for range g.below(3) {
		given(replies)
	}
	if !holder || g.once(3) {
		for range g.below(6) {
			g.field(f, m, indent, foreign, field, fieldName)
		}
	}
	if g.once(5) {
		fmt.Fprintf(out, "%soneof %s {\n", indent, fieldName())
		for range 1 + g.below(3) {
			out.WriteString("  ")
			field("", g.kind(f, m, foreign), fieldName())
		}
		fmt.Fprintf(out, "%s}\n", indent)
	}
	if f.syntax == "proto2" && g.once(5) {
		fmt.Fprintf(out, "%soptional group %s = %d {}\n", indent, "G"+fieldName(), number+1)
		number++
	}
	if f.syntax == "proto2" && g.once(3) {
		fmt.Fprintf(out, "%sextensions 1000 to 1999;\n", indent)
		m.extended = true
	}
	fmt.Fprintf(out, "%s}\n", strings.TrimSuffix(indent, "  "))
	f.messages = append(f.messages, m)
}

// kind returns the type of a field: a scalar, a message, or an enum.
func (g *generator) kind(f *protoFile, m *message, foreign []*message) string {
	switch g.below(6) {
	default:
		return pick(g.dice, scalars...)
	case 3:
		return "." + pick(g.dice, append(slices.Clone(f.messages), append(foreign, m)...)...).full
	case 4:
		if len(f.enums) > 0 {
			return "." + pick(g.dice, f.enums...)
		}
		return "string"
	}
}

func (g *generator) field(f *protoFile, m *message, indent string, foreign []*message, field func(label, kind, name string), name func() string) {
	if g.once(8) {
		key := pick(g.dice, "string", "int32", "uint64", "bool", "sfixed64")
		field("", fmt.Sprintf("map<%s, %s>", key, g.kind(f, m, foreign)), name())
		return
	}
	field(g.label(f), g.kind(f, m, foreign), name())
}

func (g *generator) enum(out *strings.Builder, f *protoFile, scope, indent string) {
	name := g.fresh(scope, g.name, "")
	g.comment(out, indent, 12)
	fmt.Fprintf(out, "%senum %s {\n", indent, name)
	for i := range 1 + g.below(4) {
		value := g.fresh(scope, func() string {
			if g.once(3) {
				switch value := g.name(); value {
				case "option", "reserved", "OPTION":
				default:
					return value
				}
			}
			return strings.ToUpper(name) + "_V" + fmt.Sprint(i)
		}, "")
		fmt.Fprintf(out, "%s  %s = %d;\n", indent, value, i)
	}
	fmt.Fprintf(out, "%s}\n", indent)
	f.enums = append(f.enums, join(scope, name))
}

func (g *generator) extension(out *strings.Builder, f *protoFile) {
	for _, m := range f.messages {
		if m.extended {
			fmt.Fprintf(out, "extend .%s { optional %s %s = %d; }\n", m.full, pick(g.dice, scalars...), g.fresh(f.pkg, g.name, ""), 1000+g.below(900))
			return
		}
	}
}

func (g *generator) service(out *strings.Builder, f *protoFile, all []*message) {
	name := g.fresh(f.pkg, g.name, "")
	g.comment(out, "", 4)
	fmt.Fprintf(out, "service %s {\n", name)
	if g.once(20) {
		out.WriteString("  option deprecated = true;\n")
	}
	var events []*message
	for _, m := range all {
		if m.event {
			events = append(events, m)
		}
	}
	some := func() string {
		if len(events) > 0 && g.once(2) {
			return pick(g.dice, events...).full
		}
		return pick(g.dice, all...).full
	}
	for range pick(g.dice, 1, 2, 3, 4, 5, 6, 0) {
		in, out2 := "", ""
		switch g.below(6) {
		case 3:
			in = "stream "
		case 4:
			out2 = "stream "
		case 5:
			in, out2 = "stream ", "stream "
		}
		directives := []string{"event", "plain"}
		if in == "" && out2 != "" {
			directives = []string{"tail"}
		}
		g.comment(out, "  ", 3, directives...)
		fmt.Fprintf(out, "  rpc %s(%s.%s) returns (%s.%s)", g.fresh(join(f.pkg, name)+" rpcs", g.name, ""), in, some(), out2, some())
		out.WriteString(pick(g.dice, ";", ";", ";", " {}", " { option idempotency_level = IDEMPOTENT; }", " { option deprecated = true; }"))
		if g.once(40) {
			fmt.Fprintf(out, " // receiver:%s", pick(g.dice, directives...))
		}
		out.WriteString("\n")
	}
	out.WriteString("}\n")
}
