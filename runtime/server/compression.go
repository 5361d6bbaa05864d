package server

// Clients may compress their requests by gzip, as exporters of OpenTelemetry do by
// default. A request counts against MaxMessageBytes as it is uncompressed, so a
// small one can't take more memory than a large one.
import _ "google.golang.org/grpc/encoding/gzip"
