// Command cloud-spanner writes the request of protoc for the services of
// cloud.google.com/go/spanner.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/spanner/adapter/apiv1/adapterpb"
	_ "cloud.google.com/go/spanner/admin/database/apiv1/databasepb"
	_ "cloud.google.com/go/spanner/admin/instance/apiv1/instancepb"
	_ "cloud.google.com/go/spanner/apiv1/spannerpb"
	_ "cloud.google.com/go/spanner/executor/apiv1/executorpb"
)

func main() { descriptors.Main() }
