// Package documentation_ implements the service internal.aux.testdata.v1.Documentation: an RPC a file.
package documentation_

import "github.com/protoc-gen-receiver/protoc-gen-receiver/testdata/names/golden/gen/context"

// Service implements context.DocumentationServer.
type Service struct {
	context.UnimplementedDocumentationServer // answers the RPCs that have no file
}

// New makes the service.
func New() *Service {
	return &Service{}
}
