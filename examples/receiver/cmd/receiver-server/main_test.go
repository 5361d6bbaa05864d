package main

import (
	"testing"

	"example.com/receiver/internal/receiver-runtime/servertest"
)

// TestProgram runs the program as main does, on free ports and in an empty folder, and
// tests its services and its parts. If main no longer has a part, delete its line here.
func TestProgram(t *testing.T) {
	program := servertest.Program{Run: run, Services: []string{
		"Receiver",
	}}
	program.Test(t,
		servertest.WithEvents("Receiver"),
		servertest.WithKeys(),
		servertest.WithHTTP(),
		servertest.WithProbes("/metrics"),
	)
}
