//runtime:used

package command

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/terminal"
)

// Output gives each command a flag --output, which is json or table. A table has a row
// for each reply; if a reply is a list of messages, one for each of those. Its columns
// are the fields, and those of messages in them. On a terminal, lines are cut to its
// width; elsewhere they are whole.
var Output = Extension{flags: func(c Command, env Env, set *flag.FlagSet) added {
	name, format := c.free("output"), ""
	set.StringVar(&format, name, "", "`json|table` to print replies as")
	var t *table
	end := func() error {
		if t == nil {
			return nil
		}
		return t.end()
	}
	return added{title: "Output", names: []string{name}, end: end, parsed: func(p *parsed) error {
		switch {
		case format == "table" && p.json:
			return fmt.Errorf("--json and --%s table exclude each other: give only one of them", name)
		case format == "json":
			p.json = true
		case format == "table":
			t = newTable(env)
			p.printer = t.reply
		case format != "":
			return fmt.Errorf("--%s: no format %q: want json or table", name, format)
		}
		return nil
	}}
}}

// A table waits for some rows, for a moment, so that columns are as wide as they need.
const (
	tableRows = 100
	tableWait = 200 * time.Millisecond
)

// maxAligned is how wide a column is at most: one long text would else be the width of all
// rows after it.
const maxAligned = 60

type table struct {
	out   io.Writer
	width int // of the terminal; 0: out is none
	bold  bool

	mu      sync.Mutex
	columns []tableColumn
	widths  []int
	rows    [][]string // are not printed yet
	begun   bool
	failed  error
}

type tableColumn struct {
	title string
	path  []protoreflect.FieldDescriptor
}

func newTable(env Env) *table {
	t := &table{out: env.Stdout}
	if file, ok := env.Stdout.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		t.bold = coloured(file, env.Getenv)
		t.width = terminalWidth(file)
	}
	return t
}

// reply adds a reply.
func (t *table) reply(reply proto.Message) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	message := reply.ProtoReflect()
	list := listIn(message.Descriptor())
	if t.columns == nil {
		of := message.Descriptor()
		if list != nil {
			of = list.Message()
		}
		t.columns = tableColumns(of, nil, nil)
		t.widths = make([]int, len(t.columns))
		time.AfterFunc(tableWait, func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			if !t.begun || len(t.rows) > 0 { // otherwise the call may have ended
				t.flush()
			}
		})
	}
	if list == nil {
		t.add(message)
	} else {
		for i := range message.Get(list).List().Len() {
			t.add(message.Get(list).List().Get(i).Message())
		}
	}
	if t.begun || len(t.rows) >= tableRows {
		t.flush()
	}
	return t.failed
}

// end prints what is left.
func (t *table) end() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.columns != nil {
		t.flush()
	}
	return t.failed
}

// listIn returns the one repeated field of messages of a reply, whose elements are the
// rows, or nil.
func listIn(reply protoreflect.MessageDescriptor) (list protoreflect.FieldDescriptor) {
	for i := range reply.Fields().Len() {
		field := reply.Fields().Get(i)
		switch {
		case !field.IsList() || field.Message() == nil:
		case list != nil:
			return nil
		default:
			list = field
		}
	}
	return list
}

// tableColumns returns the columns for a message: its fields, and in place of messages
// theirs, two levels deep.
func tableColumns(of protoreflect.MessageDescriptor, path []protoreflect.FieldDescriptor, all []tableColumn) []tableColumn {
	for i := range of.Fields().Len() {
		field := of.Fields().Get(i)
		here := append(path[:len(path):len(path)], field)
		known := field.Message() != nil && strings.HasPrefix(string(field.Message().FullName()), "google.protobuf.")
		if field.Message() != nil && field.Cardinality() != protoreflect.Repeated && !known && len(path) < 2 {
			all = tableColumns(field.Message(), here, all)
			continue
		}
		var names []string
		for _, field := range here {
			names = append(names, string(field.Name()))
		}
		all = append(all, tableColumn{strings.ToUpper(strings.Join(names, ".")), here})
	}
	return all
}

func (t *table) add(message protoreflect.Message) {
	row := make([]string, len(t.columns))
	for i, column := range t.columns {
		row[i] = terminal.Text(cell(message, column.path))
	}
	t.rows = append(t.rows, row)
}

// cell returns the value at the end of a path, "" if it is not set.
func cell(message protoreflect.Message, path []protoreflect.FieldDescriptor) string {
	for _, field := range path[:len(path)-1] {
		if !message.Has(field) {
			return ""
		}
		message = message.Get(field).Message()
	}
	field := path[len(path)-1]
	switch value := message.Get(field); {
	case field.HasPresence() && !message.Has(field):
		return ""
	case field.Message() != nil || field.Cardinality() == protoreflect.Repeated:
		if !message.Has(field) {
			return ""
		}
		only := message.New()
		only.Set(field, value)
		text, err := protojson.Marshal(only.Interface())
		var members map[string]json.RawMessage
		if err != nil || json.Unmarshal(text, &members) != nil {
			return "?"
		}
		var short bytes.Buffer
		_ = json.Compact(&short, members[field.JSONName()])
		var plain string
		if json.Unmarshal(short.Bytes(), &plain) == nil { // such as a Timestamp
			return plain
		}
		return short.String()
	case field.Kind() == protoreflect.BytesKind:
		return base64.StdEncoding.EncodeToString(value.Bytes())
	case field.Enum() != nil && field.Enum().Values().ByNumber(value.Enum()) != nil:
		return string(field.Enum().Values().ByNumber(value.Enum()).Name())
	default:
		return value.String()
	}
}

// flush prints the rows.
func (t *table) flush() {
	var text strings.Builder
	if !t.begun {
		titles := make([]string, len(t.columns))
		for i, column := range t.columns {
			titles[i] = column.title
		}
		t.widen(titles)
	}
	for _, row := range t.rows {
		t.widen(row)
	}
	if !t.begun {
		t.begun = true
		titles := make([]string, len(t.columns))
		for i, column := range t.columns {
			titles[i] = column.title
		}
		line := t.line(titles)
		if t.bold {
			line = "\x1b[1m" + line + "\x1b[0m"
		}
		text.WriteString(line + "\n")
	}
	for _, row := range t.rows {
		text.WriteString(t.line(row) + "\n")
	}
	t.rows = nil
	t.failed = errors.Join(t.failed, write(t.out, text.String()))
}

func (t *table) widen(row []string) {
	for i, cell := range row {
		t.widths[i] = max(t.widths[i], min(cells(cell), maxAligned))
	}
}

func (t *table) line(row []string) string {
	var line strings.Builder
	for i, cell := range row {
		line.WriteString(cell)
		if i+1 < len(row) {
			line.WriteString(strings.Repeat(" ", max(t.widths[i]-cells(cell), 0)+2))
		}
	}
	text := strings.TrimRight(line.String(), " ")
	if t.width > 0 {
		text = strings.TrimRight(cut(text, t.width), " ")
	}
	return text
}
