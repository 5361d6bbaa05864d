package pageviews

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// open opens counts that are closed when the test ends.
func open(t *testing.T, file string) *Counts {
	t.Helper()
	counts, err := Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := counts.Close(); err != nil {
			t.Error(err)
		}
	})
	return counts
}

// expect checks the pages of site "shop.example" with the most views.
func expect(t *testing.T, counts *Counts, limit int, want ...Page) {
	t.Helper()
	if got, err := counts.Top(t.Context(), "shop.example", limit); err != nil || !slices.Equal(got, want) {
		t.Errorf("the top pages are %v (%v), want %v", got, err, want)
	}
}

// view is a view of a page of site "shop.example".
func view(id, path string) View { return View{Site: "shop.example", ID: id, Path: path} }

func TestPagesAreInTheOrderOfTheirViews(t *testing.T) {
	counts := open(t, filepath.Join(t.TempDir(), "new folder", "100% #1?.db"))
	expect(t, counts, 10)
	err := counts.Add(t.Context(), view("1", "/cart"), view("2", "/"), view("3", "/b"), view("4", "/cart"), view("5", "/a"),
		View{Site: "other.example", ID: "6", Path: "/a"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, counts, 10, Page{"/cart", 2}, Page{"/", 1}, Page{"/a", 1}, Page{"/b", 1})
	expect(t, counts, 2, Page{"/cart", 2}, Page{"/", 1})
}

// TestAViewIsCountedOnce adds one again: in the same call, in a later one, and after the
// file was closed. Another site may have the same id.
func TestAViewIsCountedOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "views.db")
	counts := open(t, file)
	for range 2 {
		if err := counts.Add(t.Context(), View{Site: "other.example", ID: "1", Path: "/"}, view("1", "/"), view("2", "/"), view("1", "/")); err != nil {
			t.Fatal(err)
		}
	}
	if err := counts.Close(); err != nil {
		t.Fatal(err)
	}
	counts = open(t, file)
	if err := counts.Add(t.Context(), view("2", "/"), view("3", "/")); err != nil {
		t.Fatal(err)
	}
	expect(t, counts, 10, Page{"/", 3})
}

// TestAllViewsAreCountedOrNone fails in the middle of a call. What came before is not
// remembered as counted either: the next try counts it.
func TestAllViewsAreCountedOrNone(t *testing.T) {
	counts := open(t, filepath.Join(t.TempDir(), "views.db"))
	if _, err := counts.db.ExecContext(t.Context(), `CREATE TRIGGER refuse BEFORE INSERT ON pages WHEN new.path = '/full' BEGIN SELECT raise(ABORT, 'full'); END`); err != nil {
		t.Fatal(err)
	}
	if err := counts.Add(t.Context(), view("1", "/"), view("2", "/full")); err == nil {
		t.Fatal("there is no error")
	}
	expect(t, counts, 10)
	if err := counts.Add(t.Context(), view("1", "/")); err != nil {
		t.Fatal(err)
	}
	expect(t, counts, 10, Page{"/", 1})
}

func TestNothingIsCountedAfterTheContextEnded(t *testing.T) {
	counts := open(t, filepath.Join(t.TempDir(), "views.db"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := counts.Add(ctx, view("1", "/")); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want %v", err, context.Canceled)
	}
	expect(t, counts, 10)
}

// TestManyCountAtOnce counts the same views through two openings of a file, as two
// processes would.
func TestManyCountAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "views.db")
	var all sync.WaitGroup
	for _, counts := range []*Counts{open(t, file), open(t, file)} {
		for range 4 {
			all.Go(func() {
				for i := range 20 {
					if err := counts.Add(t.Context(), view(fmt.Sprint(i), "/"), view(fmt.Sprint("other", i), "/other")); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	expect(t, open(t, file), 10, Page{"/", 20}, Page{"/other", 20})
}
