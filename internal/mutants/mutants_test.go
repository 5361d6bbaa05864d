package main

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestEveryMutantCanBePlanted finds texts that are no longer in the code.
func TestEveryMutantCanBePlanted(t *testing.T) {
	root, err := repository(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, g := range groups {
		for _, m := range g.mutants {
			if ids[m.id] {
				t.Errorf("there are two mutants %s", m.id)
			}
			ids[m.id] = true
			read, err := m.in.reader(root)
			if err != nil {
				t.Fatal(err)
			}
			changed, err := m.mutate(read)
			if err != nil {
				t.Error(err)
			}
			for file, text := range changed {
				if before, _ := read(file); before == text {
					t.Errorf("%s changes nothing in %s", m.id, file)
				}
			}
		}
	}
	if len(ids) < 100 {
		t.Errorf("there are %d mutants, want 100 or more", len(ids))
	}
}

// TestSomeMutantsAreCaught runs a sample of make mutants: the code of a user, main, and a
// consumer.
func TestSomeMutantsAreCaught(t *testing.T) {
	root, err := repository(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := runner{root: root, parallel: 1, timeout: 2 * time.Minute}
	sample := choose(groups, regexp.MustCompile("^(U05|W06|K02)$"))
	results, err := r.runAll(t.Context(), sample)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	if err := show(&table, sample, results); err != nil {
		t.Errorf("%v\n%s", err, table.String())
	}
}

// TestTheUsersOfMutantsAreRight runs the tests of the service that mistakes are planted
// into, which is written by hand in part.
func TestTheUsersOfMutantsAreRight(t *testing.T) {
	root, err := repository(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := runner{root: root, timeout: 2 * time.Minute}
	if err := r.rightOnes(t.Context(), []group{{"all", []mutant{{in: kinds}}}}); err != nil {
		t.Error(err)
	}
}

// TestFilledStubsPass is a sample of make quiet.
func TestFilledStubsPass(t *testing.T) {
	if err := fill(t.Context(), []string{"-run", "^(kinds|proto2)$"}); err != nil {
		t.Error(err)
	}
}

// TestFirstFailure reads what go test prints.
func TestFirstFailure(t *testing.T) {
	for name, test := range map[string]struct {
		out    string
		want   result
		broken string
	}{
		"passes": {out: `{"Action":"pass","Package":"p","Test":"TestA"}`},
		"a subtest": {out: `{"Action":"output","Package":"p","Test":"TestA/b c","Output":"    a_test.go:1: wrong\n"}
{"Action":"fail","Package":"p","Test":"TestA/b c"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`, want: result{by: "TestA/b c", message: "a_test.go:1: wrong"}},
		"a panic": {out: `{"Action":"output","Package":"p","Test":"TestA","Output":"panic: nil map\n"}
{"Action":"fail","Package":"p","Test":"TestA"}`, want: result{by: "TestA", message: "panic: nil map"}},
		"too long": {out: `{"Action":"output","Package":"p","Test":"TestA","Output":"panic: test timed out after 1s\n"}
{"Action":"fail","Package":"p","Test":"TestA"}`, want: result{by: "TestA", message: "panic: test timed out after 1s", hung: true}},
		"a package": {out: `{"Action":"fail","Package":"a/p"}`, want: result{by: "the package p"}},
		"does not build": {out: `{"Action":"build-output","Output":"x.go:1: undefined: y\n"}
{"Action":"fail","Package":"p","FailedBuild":"p"}`, broken: "x.go:1: undefined: y\n"},
	} {
		if got, broken := read([]byte(test.out)); got != test.want || broken != test.broken {
			t.Errorf("%s: read returns %+v and %q, want %+v and %q", name, got, broken, test.want, test.broken)
		}
	}
}

// TestWhatIsKnownOfAMutantMustBeRight makes show fail for a survivor that nobody
// explains, and for one that is caught.
func TestWhatIsKnownOfAMutantMustBeRight(t *testing.T) {
	caught := result{by: "TestA", message: "wrong"}
	for name, test := range map[string]struct {
		survives string
		result   result
		wrong    bool
	}{
		"caught":              {result: caught},
		"survives":            {wrong: true},
		"hangs":               {result: result{by: "TestA", hung: true}, wrong: true},
		"explained":           {survives: "can't be seen"},
		"explained, but seen": {survives: "can't be seen", result: caught, wrong: true},
	} {
		var many []mutant // so that one survivor is few
		results := map[string]result{"A": test.result}
		for range 30 {
			many = append(many, mutant{id: "B"})
		}
		results["B"] = caught
		err := show(&strings.Builder{}, []group{{"g", append(many, mutant{id: "A", survives: test.survives})}}, results)
		if (err != nil) != test.wrong {
			t.Errorf("%s: show returns %v", name, err)
		}
	}
	few := []group{{"g", []mutant{{id: "A", survives: "can't be seen"}, {id: "B"}}}}
	if err := show(&strings.Builder{}, few, map[string]result{"B": caught}); err == nil {
		t.Error("show returns nil though half of the mistakes survive")
	}
}

// TestOtherRightServicesPass runs the contract on a service written by hand in another
// style, and on services that validate, authorize, enrich, filter and limit.
func TestOtherRightServicesPass(t *testing.T) {
	root, err := repository(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := &module{dir: kinds.dir, user: "internal/mutants/testdata/right"}
	tests, err := (runner{root: root}).build(t.Context(), t.TempDir(), m, false, []string{"internal/byhand", "internal/right"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		command := exec.CommandContext(t.Context(), test.program, "-test.timeout=2m")
		command.Dir = test.dir
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("the tests in %s: %v\n%s", test.dir, err, out)
		}
	}
}
