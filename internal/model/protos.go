package model

import (
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
)

// Protos are the files that a run generates for: what there is to know of them
// beside their services, to know what earlier runs made of them.
type Protos struct {
	Files map[string]Proto // by their names
	// Folders are those with files of ours that are generated for the files, or
	// would be if they had services.
	Folders map[string]bool
}

// Proto is one of the files. Its name does not identify it: a run with another -I may
// be on another proto of that name.
type Proto struct {
	Declares map[string]bool // the elements that it declares, as [Element.String] names them
	Messages string          // import path of its messages
	// Base is what the folders of its package's roles have in common: "gen/shoppb/shop".
	Base string
	// InModule reports whether the messages are in the module, and the folders beside them.
	InModule bool
}

// ProtosOf returns the files that a run generates a module from.
func ProtosOf(m *Module) Protos { return m.protos }

// protos notes a file that is generated for.
func (b *builder) protos(file *protogen.File) {
	declares := map[string]bool{}
	for _, service := range file.Services {
		declares["service "+string(service.Desc.FullName())] = true
		for _, method := range service.Methods {
			declares["rpc "+string(service.Desc.FullName())+"."+string(method.Desc.Name())] = true
		}
	}
	messages := slices.Clone(file.Messages)
	for i := 0; i < len(messages); i++ {
		declares["event "+string(messages[i].Desc.FullName())] = true
		messages = append(messages, messages[i].Messages...)
	}
	base := base(string(file.GoPackageName))
	dir, inModule := b.module.dir(string(file.GoImportPath))
	if pkg := b.packages[file.GoImportPath]; pkg != nil {
		dir = pkg.dir
	} else if !inModule {
		dir = path.Join("gen", protoDir(string(file.Desc.Package())))
	}
	common := path.Join(dir, base)
	b.module.protos.Files[file.Desc.Path()] = Proto{Declares: declares, Messages: string(file.GoImportPath), Base: common, InModule: inModule}
	for _, role := range roles {
		b.module.protos.Folders[common+role] = true
	}
	b.module.protos.Folders["cmd/"+b.program(file)+"-client"] = true
}

// roles are what the packages that are generated for one of messages add to
// its name.
var roles = []string{"client", "server", "events", "publisher", "test"}

// Generated reports whether a folder may be generated into, by its name: one of
// a package's roles, or of a program's client.
func Generated(dir string) bool {
	if strings.HasPrefix(dir, "cmd/") {
		return strings.HasSuffix(dir, "-client")
	}
	return WithoutRole(dir) != ""
}

// ClientBeside returns the folder of the client that belongs with a folder of
// one of a package's roles.
func ClientBeside(dir string) string { return ClientOf(WithoutRole(dir)) }

// ClientOf returns the folder of the client, of what it has in common with the
// folders of the other roles.
func ClientOf(base string) string { return base + "client" }

// ServerBeside returns the folder of the server that belongs with it.
func ServerBeside(dir string) string { return WithoutRole(dir) + "server" }

// WithoutRole returns a folder without the role in its name, or "" if it has none.
func WithoutRole(dir string) string {
	for _, role := range roles {
		if base, found := strings.CutSuffix(dir, role); found && path.Base(dir) != role {
			return base
		}
	}
	return ""
}
