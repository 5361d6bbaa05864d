// Package fuzz tests a promise of the generator: for any protos it generates code
// that Go accepts, or reports an error with its position. It never panics.
//
// The tests make protos from random bytes, with names that are likely to cause
// trouble, and check in process what is generated:
//
//	go test -fuzz=FuzzGenerate -fuzztime=60s -fuzzminimizetime=10x ./internal/fuzz
//	go test -run=TestHunt -hunt=60s -v ./internal/fuzz
//
// The first chooses its inputs by coverage and stops at the first failure. Without
// -fuzzminimizetime it would spend most of its time on shortening inputs. The second
// goes on after a failure, and lists failures by kind, each with a small proto.
// Failures are kept as bytes in testdata/fuzz/FuzzGenerate, and as protos in
// testdata/protos, because the bytes mean other protos when this package changes.
//
// A second promise is that a run leaves your code alone. TestEvolve changes the
// protos and the code of a module in random rounds, and runs the plugin after each.
// It prints the seed of a failure, and the fewest steps that it finds to cause it:
//
//	go test -run=TestEvolve -evolve=1000 -v ./internal/fuzz
//	go test -run=TestEvolve -evolve=1 -evolve-seed=7 -v ./internal/fuzz
package fuzz
