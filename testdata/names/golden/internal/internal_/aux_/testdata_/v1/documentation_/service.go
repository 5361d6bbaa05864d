// Package documentation_ implements the service internal.aux.testdata.v1.Documentation, one file per RPC.
package documentation_

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.DocumentationServer.
type Service struct {
	context.UnimplementedDocumentationServer // answers RPCs that have no method here
}

// New returns the service.
func New() *Service {
	return &Service{}
}
