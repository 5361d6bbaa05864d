package keep

import "testing"

// TestStoringComesAfterChecks: a check is what returns an error, and nothing else.
func TestStoringComesAfterChecks(t *testing.T) {
	for body, want := range map[string]int{
		"if r == nil {\n\t\treturn nil, errNone\n\t}\n\treturn done(r)":                                             5,
		"if r == nil {\n\t\treturn nil, errNone\n\t}\n\tif err := check(r); err != nil {\n\t\treturn nil, err\n\t}": 8,
		"if r == nil {\n\t\treturn done, nil\n\t}":                                                                  2,
		"if err := s.insert(r); err != nil {\n\t\treturn nil, err\n\t}":                                             2,
		"if r == nil {\n\t\tr = none\n\t}":                                                                          2,
		"seen++\n\tif r == nil {\n\t\treturn nil, errNone\n\t}":                                                     2,
	} {
		e := newEdits("take.go", []byte("package orders\nfunc (s *Service) Take(ctx context.Context, r *Request) (*Reply, error) {\n\t"+body+"\n}\n"))
		if got := e.checked(e.function("Service", "Take")); got != want {
			t.Errorf("after\n\t%s\nstoring comes below line %d, want %d", body, got, want)
		}
	}
}
