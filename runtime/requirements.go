package runtime

import "golang.org/x/mod/module"

// Requirements are the modules that the packages import, at the versions that
// they were tested with.
var Requirements = []module.Version{
	{Path: "github.com/google/uuid", Version: "v1.6.0"},
	{Path: "golang.org/x/net", Version: "v0.60.0"},
	{Path: "google.golang.org/genproto/googleapis/rpc", Version: "v0.0.0-20260817212433-ac3dfec99bb1"},
	{Path: "google.golang.org/grpc", Version: "v1.85.0"},
	{Path: "google.golang.org/protobuf", Version: "v1.36.12"},
	{Path: "modernc.org/sqlite", Version: "v1.61.1"},
}
