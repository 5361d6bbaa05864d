// Command yandex writes the request of protoc for the services of
// github.com/yandex-cloud/go-genproto.
package main

import (
	"github.com/protoc-gen-receiver/protoc-gen-receiver/corpus/descriptors"

	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/audittrails/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/billing/usage_records/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/billing/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/compute/v1/instancegroup"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/iam/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/iam/v1/awscompatibility"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/iam/v1/workload"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/iam/v1/workload/oidc"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/iot/broker/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/iot/devices/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/k8s/marketplace/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/k8s/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/logging/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/apigateway/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/apigateway/websocket/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/containers/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/eventrouter/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/functions/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/mcpgateway/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/mdbproxy/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/triggers/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/triggers/v2"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/serverless/workflows/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/video/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/vpc/v1"
	_ "github.com/yandex-cloud/go-genproto/yandex/cloud/vpc/v1/privatelink"
)

func main() { descriptors.Main() }
