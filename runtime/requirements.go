package runtime

import (
	"slices"
	"strings"

	"golang.org/x/mod/module"
)

// Engines are those of the event log that a module may have, named as the
// schemes of their URLs. memory is in every module.
var Engines = []string{"sqlite", "nats"}

// Requirement is a module that the packages import, at the version that they
// were tested with.
type Requirement struct {
	module.Version
	engine string // that alone imports it; "" if others do, too
}

// requirements are all of them.
var requirements = []Requirement{
	{Version: module.Version{Path: "github.com/google/uuid", Version: "v1.6.0"}},
	{Version: module.Version{Path: "github.com/nats-io/nats.go", Version: "v1.55.0"}, engine: "nats"},
	{Version: module.Version{Path: "golang.org/x/net", Version: "v0.60.0"}},
	{Version: module.Version{Path: "google.golang.org/genproto/googleapis/rpc", Version: "v0.0.0-20260817212433-ac3dfec99bb1"}},
	{Version: module.Version{Path: "google.golang.org/grpc", Version: "v1.85.0"}},
	{Version: module.Version{Path: "google.golang.org/protobuf", Version: "v1.36.12"}},
	{Version: module.Version{Path: "modernc.org/sqlite", Version: "v1.61.1"}, engine: "sqlite"},
}

// Requirements are the modules that the packages import with some engines.
func Requirements(engines []string) (all []module.Version) {
	for _, one := range requirements {
		if one.engine == "" || slices.Contains(engines, one.engine) {
			all = append(all, one.Version)
		}
	}
	return all
}

// Needed reports whether a file of the packages is needed with some engines: each
// has a folder in eventlog.
func Needed(name string, engines []string) bool {
	for _, engine := range Engines {
		if strings.HasPrefix(name, "eventlog/"+engine+"/") && !slices.Contains(engines, engine) {
			return false
		}
	}
	return true
}
