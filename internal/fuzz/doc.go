// Package fuzz holds the generator to a promise: whatever protos say, it makes
// code that Go accepts, or a complaint with a place; it never panics.
//
// The tests make protos of random bytes, with names chosen to hurt, and check
// all that comes of them in process:
//
//	go test -fuzz=FuzzGenerate -fuzztime=60s -fuzzminimizetime=10x ./internal/fuzz
//	go test -run=TestHunt -hunt=60s -v ./internal/fuzz
//
// The first grows its inputs by coverage and stops at the first failure; left to
// itself it would take most of its time to shorten inputs. The second goes on,
// and lists what it found by kind, each with a small proto. What either finds is
// kept: as bytes under testdata/fuzz/FuzzGenerate, and as the protos themselves
// under testdata/protos, as bytes mean something else when the generator changes.
//
// A second promise is that code of yours is yours. TestEvolve takes a module
// through rounds of random changes, to its protos and by hand, and runs the
// plugin after each; what it checks is said there. It prints the seed of what
// goes wrong, and the fewest steps that it finds to lead to it:
//
//	go test -run=TestEvolve -evolve=1000 -v ./internal/fuzz
//	go test -run=TestEvolve -evolve=1 -evolve-seed=7 -v ./internal/fuzz
package fuzz
