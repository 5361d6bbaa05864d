// Command cloud-monitoring writes the request of protoc for the services of
// cloud.google.com/go/monitoring.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	_ "cloud.google.com/go/monitoring/dashboard/apiv1/dashboardpb"
	_ "cloud.google.com/go/monitoring/metricsscope/apiv1/metricsscopepb"
)

func main() { descriptors.Main() }
