package main

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)

// TestProgram runs the program as main does, on free ports and in an empty folder, and
// tests its services and its parts. If main no longer has a part, delete its line here.
func TestProgram(t *testing.T) {
	program := servertest.Program{Run: run, Services: []string{
		"internal.aux.testdata.v1.Service",
		"internal.aux.testdata.v1.Client",
		"internal.aux.testdata.v1.Server",
		"internal.aux.testdata.v1.Context",
		"internal.aux.testdata.v1.Error",
		"internal.aux.testdata.v1.Log",
		"internal.aux.testdata.v1.Internal",
		"internal.aux.testdata.v1.Main",
		"internal.aux.testdata.v1.Test",
		"internal.aux.testdata.v1.Type",
		"internal.aux.testdata.v1.Close",
		"internal.aux.testdata.v1.Vendor",
		"internal.aux.testdata.v1.Documentation",
		"internal.aux.testdata.v1.Init",
		"internal.aux.testdata.v1.Commands",
		"internal.aux.testdata.v1.Nothing",
	}}
	program.Test(t,
		servertest.WithEvents("internal.aux.testdata.v1.Client", "internal.aux.testdata.v1.Server"),
		servertest.WithKeys(),
		servertest.WithHTTP(),
		servertest.WithProbes("/metrics"),
	)
}
