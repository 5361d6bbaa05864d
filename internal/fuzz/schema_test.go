package fuzz

import (
	"fmt"
	"slices"
	"strings"
)

// schema is the protos of a module in a form that can be changed step by step. Each file
// imports those before it.
type schema struct{ files []*schemaFile }

type schemaFile struct {
	name, pkg, goPackage string
	messages             []*messageType
	services             []*serviceType
}

type messageType struct {
	full, directive string // directive is a comment for the plugin, or ""
	fields          []fieldType
}

type fieldType struct {
	kind, name string
	number     int
}

type serviceType struct {
	name string
	rpcs []*rpcType
}

type rpcType struct {
	name, directive        string
	in, out                *messageType
	fromClient, fromServer bool // which side streams
}

// Names of declarations. There are few of them, so that removed ones come back, and what
// is written by hand gets declared later.
var (
	rpcWords = []string{"Take", "Find", "Ship", "Count", "Follow", "Cancel", "receive", "List", "Context", "New", "Service", "Close", "Status",
		"String", "Log", "Test", "Contract", "serve", "newService", "Client", "events", "Events", "Reset", "init", "read_test", "get_linux", "Windows", "Go",
		"store", "Helper", "testFind"}
	serviceWords = []string{"Orders", "Stock", "Receiver", "Service", "Log", "Client", "Events", "Server", "Test", "Context", "order_events", "Shop", "Main",
		"Testing", "Status", "Servertest", "internal", "Codes"}
	messageWords = []string{"Query", "Order", "Invoice", "Batch", "Note", "Log", "Service", "Context", "Client", "OrdersClient", "Options", "New"}
	aliases      = []string{"", ";shoppb", ";pb", ";context", ";orders", ";event", ";status", ";server", ";shop_v1", ";client", ";testing", ";s"}
	goPackages   = []string{"shoppb", "shop", "pb", "stockpb"}
)

func newSchema(d *dice) *schema {
	s := &schema{}
	for i := range 1 + pick(d, 0, 0, 1) {
		f := &schemaFile{name: []string{"shop.proto", "stock.proto"}[i], pkg: pick(d, "shop", "shop.v1", "store")}
		f.goPackage = evolved + "/gen/" + pick(d, goPackages...) + pick(d, "", "", "", pick(d, aliases...))
		if i > 0 && !d.once(3) {
			f.pkg, f.goPackage = s.files[0].pkg, s.files[0].goPackage
		}
		s.files = append(s.files, f)
		s.addEvent(d, f)
		for range 2 {
			s.addMessage(d, f)
		}
		if i == 0 || d.once(2) {
			s.addService(d, f)
		}
	}
	return s
}

// String returns the protos, one after the other.
func (s *schema) String() string {
	var b strings.Builder
	for i, file := range s.files {
		fmt.Fprintf(&b, "-- %s --\n%s", file.name, s.text(i))
	}
	return b.String()
}

// text returns the nth file as text.
func (s *schema) text(n int) string {
	var b strings.Builder
	file := s.files[n]
	fmt.Fprintf(&b, "syntax = \"proto3\";\npackage %s;\nimport \"google/protobuf/timestamp.proto\";\n", file.pkg)
	for _, before := range s.files[:n] {
		fmt.Fprintf(&b, "import %q;\n", before.name)
	}
	fmt.Fprintf(&b, "option go_package = %q;\n", file.goPackage)
	for _, m := range file.messages {
		fmt.Fprintf(&b, "%smessage %s {\n", directiveLine("", m.directive), m.full[strings.LastIndex(m.full, ".")+1:])
		for _, f := range m.fields {
			fmt.Fprintf(&b, "  %s %s = %d;\n", f.kind, f.name, f.number)
		}
		b.WriteString("}\n")
	}
	for _, service := range file.services {
		fmt.Fprintf(&b, "service %s {\n", service.name)
		for _, rpc := range service.rpcs {
			fmt.Fprintf(&b, "%s  rpc %s(%s.%s) returns (%s.%s);\n", directiveLine("  ", rpc.directive), rpc.name,
				streams(rpc.fromClient), rpc.in.full, streams(rpc.fromServer), rpc.out.full)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func directiveLine(indent, directive string) string {
	if directive == "" {
		return ""
	}
	return indent + "// receiver:" + directive + "\n"
}

func streams(is bool) string {
	if is {
		return "stream "
	}
	return ""
}

// clone returns a deep copy of a schema.
func (s *schema) clone() *schema {
	c := &schema{}
	messages := map[*messageType]*messageType{}
	for _, file := range s.files {
		f := *file
		f.messages, f.services = nil, nil
		for _, m := range file.messages {
			copied := *m
			copied.fields = slices.Clone(m.fields)
			messages[m] = &copied
			f.messages = append(f.messages, &copied)
		}
		for _, service := range file.services {
			copied := &serviceType{name: service.name}
			for _, rpc := range service.rpcs {
				one := *rpc
				one.in, one.out = messages[rpc.in], messages[rpc.out]
				copied.rpcs = append(copied.rpcs, &one)
			}
			f.services = append(f.services, copied)
		}
		c.files = append(c.files, &f)
	}
	return c
}

// file returns any file.
func (s *schema) file(d *dice) *schemaFile { return pick(d, s.files...) }

// service returns any service, or nil if there is none.
func (s *schema) service(d *dice) (*schemaFile, *serviceType) {
	var files []*schemaFile
	var services []*serviceType
	for _, file := range s.files {
		for _, service := range file.services {
			files, services = append(files, file), append(services, service)
		}
	}
	if len(services) == 0 {
		return nil, nil
	}
	i := d.below(len(services))
	return files[i], services[i]
}

// rpc returns any RPC, or nil if there is none.
func (s *schema) rpc(d *dice) (*schemaFile, *serviceType, *rpcType) {
	file, service := s.service(d)
	if service == nil || len(service.rpcs) == 0 {
		return nil, nil, nil
	}
	return file, service, pick(d, service.rpcs...)
}

// messages returns the messages that a file can use.
func (s *schema) messages(file *schemaFile) (all []*messageType) {
	for _, one := range s.files {
		all = append(all, one.messages...)
		if one == file {
			break
		}
	}
	return all
}

// unused returns a name that is not taken: one of the words, or one of them with a
// number.
func unused(d *dice, taken func(string) bool, words ...string) string {
	name := pick(d, words...)
	for i := 2; taken(name); i++ {
		name = fmt.Sprint(pick(d, words...), i)
	}
	return name
}

// declares reports whether the proto package of a file has a name.
func (s *schema) declares(file *schemaFile, name string) bool {
	for _, other := range s.files {
		if other.pkg != file.pkg {
			continue
		}
		if slices.ContainsFunc(other.messages, func(m *messageType) bool { return m.full == file.pkg+"."+name }) ||
			slices.ContainsFunc(other.services, func(service *serviceType) bool { return service.name == name }) {
			return true
		}
	}
	return false
}

func (s *schema) fresh(d *dice, file *schemaFile, words ...string) string {
	return unused(d, func(name string) bool { return s.declares(file, name) }, words...)
}

func (service *serviceType) fresh(d *dice) string {
	return unused(d, func(name string) bool {
		return slices.ContainsFunc(service.rpcs, func(rpc *rpcType) bool { return rpc.name == name })
	}, rpcWords...)
}

// protoStep changes a schema. Its do returns what it did, or "" if there is nothing to
// change.
type protoStep struct {
	name string
	adds bool // whether it only adds, so that no code has to change
	do   func(s *schema, d *dice) string
}

var protoSteps = []protoStep{
	{"add RPC", true, func(s *schema, d *dice) string {
		if file, service := s.service(d); service != nil {
			return s.addRPC(d, file, service)
		}
		return ""
	}},
	{"add RPC again", true, func(s *schema, d *dice) string {
		if file, service := s.service(d); service != nil {
			return s.addRPC(d, file, service)
		}
		return ""
	}},
	{"remove RPC", false, func(s *schema, d *dice) string {
		_, service, rpc := s.rpc(d)
		if rpc == nil {
			return ""
		}
		service.rpcs = slices.DeleteFunc(service.rpcs, func(one *rpcType) bool { return one == rpc })
		return service.name + "." + rpc.name
	}},
	{"rename RPC", false, func(s *schema, d *dice) string {
		_, service, rpc := s.rpc(d)
		if rpc == nil {
			return ""
		}
		old := rpc.name
		rpc.name = service.fresh(d)
		return service.name + "." + old + " to " + rpc.name
	}},
	{"reorder RPCs", true, func(s *schema, d *dice) string {
		_, service := s.service(d)
		if service == nil {
			return ""
		}
		slices.Reverse(service.rpcs)
		return service.name
	}},
	{"change kind of RPC", false, func(s *schema, d *dice) string {
		_, service, rpc := s.rpc(d)
		if rpc == nil {
			return ""
		}
		if d.once(2) {
			rpc.fromClient = !rpc.fromClient
		} else {
			rpc.fromServer = !rpc.fromServer
		}
		return fmt.Sprintf("%s.%s: client streams %t, server %t", service.name, rpc.name, rpc.fromClient, rpc.fromServer)
	}},
	{"change types of RPC", false, func(s *schema, d *dice) string {
		file, service, rpc := s.rpc(d)
		if rpc == nil {
			return ""
		}
		rpc.in, rpc.out = pick(d, s.messages(file)...), pick(d, s.messages(file)...)
		return fmt.Sprintf("%s.%s(%s) %s", service.name, rpc.name, rpc.in.full, rpc.out.full)
	}},
	{"comment RPC", false, func(s *schema, d *dice) string {
		_, service, rpc := s.rpc(d)
		if rpc == nil {
			return ""
		}
		rpc.directive = pick(d, "", "plain", "event")
		if rpc.fromServer && !rpc.fromClient {
			rpc.directive = pick(d, "", "tail")
		}
		return fmt.Sprintf("%s.%s: %q", service.name, rpc.name, rpc.directive)
	}},
	{"comment message", false, func(s *schema, d *dice) string {
		m := pick(d, s.messages(nil)...)
		m.directive = pick(d, "", "plain", "event")
		return fmt.Sprintf("%s: %q", m.full, m.directive)
	}},
	{"add service", true, func(s *schema, d *dice) string { return s.addService(d, s.file(d)) }},
	{"remove service", false, func(s *schema, d *dice) string {
		file, service := s.service(d)
		if service == nil {
			return ""
		}
		file.services = slices.DeleteFunc(file.services, func(one *serviceType) bool { return one == service })
		return service.name
	}},
	{"rename service", false, func(s *schema, d *dice) string {
		file, service := s.service(d)
		if service == nil {
			return ""
		}
		old := service.name
		service.name = s.fresh(d, file, serviceWords...)
		return old + " to " + service.name
	}},
	{"move service", false, func(s *schema, d *dice) string {
		file, service := s.service(d)
		last := s.files[len(s.files)-1]
		if service == nil || file == last || s.declares(last, service.name) && last.pkg != file.pkg {
			return ""
		}
		file.services = slices.DeleteFunc(file.services, func(one *serviceType) bool { return one == service })
		last.services = append(last.services, service)
		return service.name + " to " + last.name
	}},
	{"reorder declarations", true, func(s *schema, d *dice) string {
		file := s.file(d)
		slices.Reverse(file.messages)
		slices.Reverse(file.services)
		return file.name
	}},
	{"add message", true, func(s *schema, d *dice) string { return s.addMessage(d, s.file(d)) }},
	{"add event", true, func(s *schema, d *dice) string { return s.addEvent(d, s.file(d)) }},
	{"remove message", false, func(s *schema, d *dice) string {
		file := s.file(d)
		for _, m := range file.messages {
			if !s.uses(m) && len(file.messages) > 1 {
				file.messages = slices.DeleteFunc(file.messages, func(one *messageType) bool { return one == m })
				return m.full
			}
		}
		return ""
	}},
	{"rename message", false, func(s *schema, d *dice) string {
		file := s.file(d)
		m := pick(d, file.messages...)
		old, ending := m.full, pick(d, "", "Event")
		m.full = file.pkg + "." + unused(d, func(name string) bool { return s.declares(file, name+ending) }, messageWords...) + ending
		for _, file := range s.files {
			for _, other := range file.messages {
				for i := range other.fields {
					if before, ok := strings.CutSuffix(other.fields[i].kind, "."+old); ok {
						other.fields[i].kind = before + "." + m.full
					}
				}
			}
		}
		return old + " to " + m.full
	}},
	{"add field", false, func(s *schema, d *dice) string {
		file := s.file(d)
		m := pick(d, file.messages...)
		return m.full + ": " + s.addField(d, file, m)
	}},
	{"remove field", false, func(s *schema, d *dice) string {
		m := pick(d, s.messages(nil)...)
		if len(m.fields) == 0 {
			return ""
		}
		i := d.below(len(m.fields))
		old := m.fields[i]
		m.fields = slices.Delete(m.fields, i, i+1)
		return m.full + ": " + old.name
	}},
	{"reorder fields", true, func(s *schema, d *dice) string {
		m := pick(d, s.messages(nil)...)
		slices.Reverse(m.fields)
		return m.full
	}},
	{"change package", false, func(s *schema, d *dice) string {
		old, pkg := s.file(d).pkg, pick(d, "shop", "shop.v1", "shop.v2", "store")
		if !d.once(3) || slices.ContainsFunc(s.files, func(file *schemaFile) bool { return file.pkg == pkg }) {
			return ""
		}
		for _, file := range s.files {
			for _, m := range file.messages {
				for i := range m.fields {
					m.fields[i].kind = strings.Replace(m.fields[i].kind, "."+old+".", "."+pkg+".", 1)
				}
				if file.pkg == old {
					m.full = pkg + strings.TrimPrefix(m.full, old)
				}
			}
			if file.pkg == old {
				file.pkg = pkg
			}
		}
		return old + " to " + pkg
	}},
	{"change go_package", false, func(s *schema, d *dice) string {
		file := s.file(d)
		old, _, _ := strings.Cut(file.goPackage, ";")
		goPackage := old + pick(d, aliases...)
		if d.once(4) {
			goPackage = evolved + "/gen/" + pick(d, goPackages...)
		}
		for _, other := range s.files {
			if of, _, _ := strings.Cut(other.goPackage, ";"); of == old && other.pkg == file.pkg {
				other.goPackage = goPackage
			}
		}
		return old + " to " + goPackage
	}},
}

// uses reports whether anything uses a message.
func (s *schema) uses(m *messageType) bool {
	for _, file := range s.files {
		for _, other := range file.messages {
			if slices.ContainsFunc(other.fields, func(f fieldType) bool { return strings.HasSuffix(f.kind, "."+m.full) }) {
				return true
			}
		}
		for _, service := range file.services {
			if slices.ContainsFunc(service.rpcs, func(rpc *rpcType) bool { return rpc.in == m || rpc.out == m }) {
				return true
			}
		}
	}
	return false
}

func (s *schema) addRPC(d *dice, file *schemaFile, service *serviceType) string {
	rpc := &rpcType{name: service.fresh(d), in: pick(d, s.messages(file)...), out: pick(d, s.messages(file)...)}
	switch d.below(7) {
	case 4:
		rpc.fromClient = true
	case 5:
		rpc.fromServer = true
	case 6:
		rpc.fromClient, rpc.fromServer = true, true
	}
	if events := s.events(file); len(events) > 0 && d.once(2) {
		rpc.in = pick(d, events...)
		if rpc.fromServer && !rpc.fromClient {
			rpc.out, rpc.directive = rpc.in, "tail"
		}
	}
	service.rpcs = append(service.rpcs, rpc)
	return fmt.Sprintf("%s.%s(%s%s) %s%s", service.name, rpc.name, streams(rpc.fromClient), rpc.in.full, streams(rpc.fromServer), rpc.out.full)
}

func (s *schema) events(file *schemaFile) (all []*messageType) {
	for _, m := range s.messages(file) {
		if strings.HasSuffix(m.full, "Event") {
			all = append(all, m)
		}
	}
	return all
}

func (s *schema) addService(d *dice, file *schemaFile) string {
	service := &serviceType{name: s.fresh(d, file, serviceWords...)}
	file.services = append(file.services, service)
	for range pick(d, 1, 2, 2, 3) {
		s.addRPC(d, file, service)
	}
	return fmt.Sprintf("%s.%s with %d RPCs", file.pkg, service.name, len(service.rpcs))
}

func (s *schema) addMessage(d *dice, file *schemaFile) string {
	m := &messageType{full: file.pkg + "." + s.fresh(d, file, messageWords...)}
	for range d.below(4) {
		s.addField(d, file, m)
	}
	file.messages = append(file.messages, m)
	return m.full
}

func (s *schema) addEvent(d *dice, file *schemaFile) string {
	full := file.pkg + "." + unused(d, func(name string) bool { return s.declares(file, name+"Event") }, messageWords...) + "Event"
	m := &messageType{full: full, fields: []fieldType{{"string", "event_type", 1}, {"string", "tenant", 2}}}
	for range d.below(3) {
		s.addField(d, file, m)
	}
	file.messages = append(file.messages, m)
	return full
}

// addField adds a field that has a role, or is known in replies, or contains events.
func (s *schema) addField(d *dice, file *schemaFile, m *messageType) string {
	number := 1
	for _, f := range m.fields {
		number = max(number, f.number+1)
	}
	one := pick(d, pick(d, roles, replies)...)
	f := fieldType{one[1], one[0], number}
	if events := s.events(file); len(events) > 0 && d.once(3) {
		f = fieldType{pick(d, "repeated .", "."), "orders", number}
		f.kind += pick(d, events...).full
	}
	if slices.ContainsFunc(m.fields, func(other fieldType) bool { return other.name == f.name }) {
		f.name = fmt.Sprint("field", number)
	}
	m.fields = append(m.fields, f)
	return f.name
}
