// Command cloud-bigquery writes the request of protoc for the services of
// cloud.google.com/go/bigquery.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/bigquery/analyticshub/apiv1/analyticshubpb"
	_ "cloud.google.com/go/bigquery/biglake/apiv1/biglakepb"
	_ "cloud.google.com/go/bigquery/biglake/apiv1alpha1/biglakepb"
	_ "cloud.google.com/go/bigquery/connection/apiv1/connectionpb"
	_ "cloud.google.com/go/bigquery/connection/apiv1beta1/connectionpb"
	_ "cloud.google.com/go/bigquery/dataexchange/apiv1beta1/dataexchangepb"
	_ "cloud.google.com/go/bigquery/datapolicies/apiv1/datapoliciespb"
	_ "cloud.google.com/go/bigquery/datapolicies/apiv1beta1/datapoliciespb"
	_ "cloud.google.com/go/bigquery/datapolicies/apiv2/datapoliciespb"
	_ "cloud.google.com/go/bigquery/datapolicies/apiv2beta1/datapoliciespb"
	_ "cloud.google.com/go/bigquery/datatransfer/apiv1/datatransferpb"
	_ "cloud.google.com/go/bigquery/migration/apiv2/migrationpb"
	_ "cloud.google.com/go/bigquery/migration/apiv2alpha/migrationpb"
	_ "cloud.google.com/go/bigquery/reservation/apiv1/reservationpb"
	_ "cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	_ "cloud.google.com/go/bigquery/storage/apiv1alpha/storagepb"
	_ "cloud.google.com/go/bigquery/storage/apiv1beta/storagepb"
	_ "cloud.google.com/go/bigquery/storage/apiv1beta1/storagepb"
	_ "cloud.google.com/go/bigquery/storage/apiv1beta2/storagepb"
)

func main() { descriptors.Main() }
