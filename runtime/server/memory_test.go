package server

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryGoesToTheAddressThatHasLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(100)
		greedy, modest := &connection{address: new(address)}, &connection{address: new(address)}
		take := func(c *connection, bytes int64) <-chan error {
			taken := make(chan error, 1)
			go func() {
				_, err := m.take(t.Context(), c, bytes)
				taken <- err
			}()
			synctest.Wait()
			return taken
		}
		is := func(what string, taken <-chan error, want bool) {
			t.Helper()
			synctest.Wait()
			if got := len(taken) == 1; got != want {
				t.Errorf("%s has its memory: %v", what, got)
			}
		}
		first, second := take(greedy, 40), take(greedy, 30)
		is("the first", first, true)
		is("the second, within three quarters", second, true)
		third := take(greedy, 10)
		is("the third, beyond them", third, false)
		small, large := take(modest, 20), take(modest, 25)
		is("the small one", small, true)
		is("the large one", large, false)
		m.give(greedy, 40)
		is("the large one", large, true)
		is("the third", third, true)
		m.give(greedy, 30)
		all := take(modest, 1000) // more than there is
		m.give(greedy, 10)
		is("all", all, false)
		m.give(modest, 45)
		is("all", all, true)
		m.give(modest, 100)
		if m.used != 0 || len(m.by) != 0 || len(m.from) != 0 {
			t.Errorf("%d bytes are in use, by %v", m.used, m.by)
		}
	})
}

func TestWhoNoLongerWaitsForMemoryKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(100)
		if _, err := m.take(t.Context(), &connection{address: new(address)}, 60); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		large, small := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := m.take(ctx, &connection{address: new(address)}, 50)
			large <- err
		}()
		synctest.Wait()
		go func() {
			_, err := m.take(t.Context(), &connection{address: new(address)}, 40)
			small <- err
		}()
		if err := <-large; err == nil {
			t.Error("it got what there was not")
		}
		if err := <-small; err != nil {
			t.Error(err)
		}
	})
}
