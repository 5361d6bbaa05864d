package main

import (
	"testing"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/servertest"
)

// TestProgram runs the program as main does, on free ports and in an empty folder, and
// tests its services and its parts. If main no longer has a part, delete its line here.
func TestProgram(t *testing.T) {
	program := servertest.Program{Run: run, Services: []string{
		"shop.v1.OrderIntake",
	}}
	program.Test(t,
		servertest.WithEvents("shop.v1.OrderIntake"),
		servertest.WithKeys(),
		servertest.WithHTTP(),
		servertest.WithProbes("/metrics"),
	)
}
