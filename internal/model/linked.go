package model

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// LinkedProto is a proto whose Go code is in every program with the runtime.
type LinkedProto struct {
	GoPackage string
	Package   string   // of the proto
	Names     []string // declared at its top, sorted
}

// TopLevel returns the names that a file declares outside of messages and services,
// the values of enums among them.
func TopLevel(file protoreflect.FileDescriptor) (names []protoreflect.Name) {
	for i := range file.Messages().Len() {
		names = append(names, file.Messages().Get(i).Name())
	}
	for i := range file.Enums().Len() {
		enum := file.Enums().Get(i)
		names = append(names, enum.Name())
		for j := range enum.Values().Len() {
			names = append(names, enum.Values().Get(j).Name())
		}
	}
	for i := range file.Extensions().Len() {
		names = append(names, file.Extensions().Get(i).Name())
	}
	for i := range file.Services().Len() {
		names = append(names, file.Services().Get(i).Name())
	}
	return names
}

// linked refuses protos of the module, and those with services that it serves, that
// its programs link anyway, as a part of grpc-go or protobuf, from another Go package:
// Go registers the names of all protos of a program, and one with two of a name
// builds, but panics when it starts.
func (b *builder) linked(files []*protogen.File) {
	for _, file := range files {
		_, ours := b.module.dir(string(file.GoImportPath))
		if served := file.Generate && len(file.Services) > 0; !ours && !served {
			continue
		}
		linked, found := Linked[file.Desc.Path()]
		if found && linked.GoPackage == string(file.GoImportPath) {
			continue
		}
		if found {
			b.complaints.OfGoPackage("", file.Proto, "go_package %q: every program with gRPC links %s already, from %s, and panics at its start if there are two: "+
				"make go_package %[3]q, or pass M%[2]s=%[3]s to every plugin", string(file.GoImportPath), file.Desc.Path(), linked.GoPackage)
			continue
		}
		for _, path := range slices.Sorted(maps.Keys(Linked)) {
			linked := Linked[path]
			names := TopLevel(file.Desc)
			i := slices.IndexFunc(names, func(name protoreflect.Name) bool { return slices.Contains(linked.Names, string(name)) })
			if linked.Package == string(file.Desc.Package()) && linked.GoPackage != string(file.GoImportPath) && i >= 0 {
				b.complaints.OfGoPackage("", file.Proto, "go_package %q: every program with gRPC links %s.%s already, from %s, and panics at its start if there are two: "+
					"import the proto of that package, make go_package %[4]q, or rename package %[2]s", string(file.GoImportPath), linked.Package, names[i], linked.GoPackage)
				break
			}
		}
	}
}

// Linked are the protos, by their paths, that a program with the runtime registers.
// A test of the runtime compares them with what one has registered.
var Linked = map[string]LinkedProto{
	"google/protobuf/any.proto": {"google.golang.org/protobuf/types/known/anypb", "google.protobuf", strings.Fields(`Any`)},
	"google/protobuf/descriptor.proto": {"google.golang.org/protobuf/types/descriptorpb", "google.protobuf", strings.Fields(`
		DescriptorProto EDITION_1_TEST_ONLY EDITION_2023 EDITION_2024 EDITION_2026 EDITION_2_TEST_ONLY EDITION_99997_TEST_ONLY
		EDITION_99998_TEST_ONLY EDITION_99999_TEST_ONLY EDITION_LEGACY EDITION_MAX EDITION_PROTO2 EDITION_PROTO3 EDITION_UNKNOWN
		EDITION_UNSTABLE Edition EnumDescriptorProto EnumOptions EnumValueDescriptorProto EnumValueOptions ExtensionRangeOptions
		FeatureSet FeatureSetDefaults FieldDescriptorProto FieldOptions FileDescriptorProto FileDescriptorSet FileOptions
		GeneratedCodeInfo MessageOptions MethodDescriptorProto MethodOptions OneofDescriptorProto OneofOptions
		ServiceDescriptorProto ServiceOptions SourceCodeInfo SymbolVisibility UninterpretedOption VISIBILITY_EXPORT
		VISIBILITY_LOCAL VISIBILITY_UNSET
	`)},
	"google/protobuf/duration.proto":    {"google.golang.org/protobuf/types/known/durationpb", "google.protobuf", strings.Fields(`Duration`)},
	"google/protobuf/empty.proto":       {"google.golang.org/protobuf/types/known/emptypb", "google.protobuf", strings.Fields(`Empty`)},
	"google/protobuf/go_features.proto": {"google.golang.org/protobuf/types/gofeaturespb", "pb", strings.Fields(`GoFeatures go`)},
	"google/protobuf/struct.proto":      {"google.golang.org/protobuf/types/known/structpb", "google.protobuf", []string{"ListValue", "NULL_VALUE", "NullValue", "Struct", "Value"}},
	"google/protobuf/timestamp.proto":   {"google.golang.org/protobuf/types/known/timestamppb", "google.protobuf", strings.Fields(`Timestamp`)},
	"google/rpc/error_details.proto": {"google.golang.org/genproto/googleapis/rpc/errdetails", "google.rpc", strings.Fields(`
		BadRequest DebugInfo ErrorInfo Help LocalizedMessage PreconditionFailure QuotaFailure RequestInfo ResourceInfo RetryInfo
	`)},
	"google/rpc/status.proto": {"google.golang.org/genproto/googleapis/rpc/status", "google.rpc", strings.Fields(`Status`)},
	"grpc/binlog/v1/binarylog.proto": {"google.golang.org/grpc/binarylog/grpc_binarylog_v1", "grpc.binarylog.v1", strings.Fields(`
		Address ClientHeader GrpcLogEntry Message Metadata MetadataEntry ServerHeader Trailer
	`)},
	"grpc/health/v1/health.proto": {"google.golang.org/grpc/health/grpc_health_v1", "grpc.health.v1", strings.Fields(`
		Health HealthCheckRequest HealthCheckResponse HealthListRequest HealthListResponse
	`)},
	"grpc/reflection/v1/reflection.proto": {"google.golang.org/grpc/reflection/grpc_reflection_v1", "grpc.reflection.v1", strings.Fields(`
		ErrorResponse ExtensionNumberResponse ExtensionRequest FileDescriptorResponse ListServiceResponse ServerReflection
		ServerReflectionRequest ServerReflectionResponse ServiceResponse
	`)},
	"grpc/reflection/v1alpha/reflection.proto": {"google.golang.org/grpc/reflection/grpc_reflection_v1alpha", "grpc.reflection.v1alpha", strings.Fields(`
		ErrorResponse ExtensionNumberResponse ExtensionRequest FileDescriptorResponse ListServiceResponse ServerReflection
		ServerReflectionRequest ServerReflectionResponse ServiceResponse
	`)},
}
