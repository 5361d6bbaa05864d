package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/protoc-gen-receiver/protoc-gen-receiver/runtime/eventlog"
)

const (
	// A browser gets a frame at most this often, with so many events at most: nobody reads
	// more. Further ones are counted. The first frame may have as many as a page shows.
	frameEvery = 200 * time.Millisecond
	mostRows   = 20
	firstRows  = 100
	// Of the log the console reads so many events within that time, which is 10,000 a
	// second. Where more arrive, it goes on with the latest. While there are so many that
	// it is busy, it looks now and then whether it still keeps up.
	mostRead  = 2000
	readFor   = 20 * time.Millisecond
	busy      = 100
	lookEvery = 2 * time.Second
	// A filter first looks through the latest events that the console has read.
	mostRecent = 500
	// So many browsers may watch at once.
	mostWatchers = 16
	// A browser that takes nothing of a frame for so long is cut off.
	patience = 10 * time.Second
	// While nothing arrives, a browser hears that the server is there.
	pingEvery = 5 * time.Second
	// A browser whose key was revoked, or has expired, sees so much more.
	identifyEvery = time.Second
	// What is shown of an attribute in a list.
	mostShown = 160
)

// row is an event in the list.
type row struct {
	Position eventlog.Position `json:"position"`
	Recorded time.Time         `json:"recorded"`
	Type     string            `json:"type"`
	Source   string            `json:"source"`
	Subject  string            `json:"subject"`
	ID       string            `json:"id"`
	Bytes    int               `json:"bytes"`
}

func newRow(record *eventlog.Record) row {
	return row{record.Position, record.Recorded, shorten(record.Type), shorten(record.Source), shorten(record.Subject), shorten(record.ID), len(record.Data)}
}

// shorten returns the beginning of a text, which then holds nothing else of it.
func shorten(text string) string {
	if len(text) <= mostShown {
		return text
	}
	cut := mostShown
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strings.Clone(text[:cut]) + "…"
}

// filter says which events a browser wants: those whose attributes contain a text.
type filter struct{ kind, source, subject string }

func (f filter) wants(a *arrival) bool {
	return strings.Contains(a.kind, f.kind) && strings.Contains(a.source, f.source) && strings.Contains(a.subject, f.subject)
}

// arrival is an event that was read: its row, and what filters look at.
type arrival struct {
	row
	kind, source, subject string
}

// hub reads the log once for all browsers, and only while there are some.
type hub struct {
	log  eventlog.Log
	work *work

	mu       sync.Mutex
	watchers map[*watcher]bool
	stop     context.CancelFunc // of the reading; nil while nobody watches
	recent   []arrival
	past     eventlog.Position // what was stored before anybody watched
	err      error             // why reading has stopped for now
}

// watcher is a browser.
type watcher struct {
	filter filter
	most   int   // how many rows may wait
	rows   []row // the latest that wait for a frame; the lock of the hub guards them
	left   int64 // how many were left out
	seen   int64 // how many arrived since the last frame, whether they are wanted or not
}

// frame is what a browser gets at once.
type frame struct {
	Rows   []row  `json:"rows"`             // in the order of their positions
	Left   int64  `json:"left"`             // how many before them were left out
	Seen   int64  `json:"seen"`             // how many arrived, whether they are wanted or not
	Why    string `json:"why,omitempty"`    // the log can't be read
	Server int64  `json:"server,omitempty"` // in the first frame: which process this is
}

// add adds a browser, and begins to read for the first. It fails if there are many, or if
// the server drains.
func (h *hub) add(f filter) (*watcher, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.watchers) >= mostWatchers {
		return nil, status.Errorf(codes.ResourceExhausted, "%d browsers watch this server already", mostWatchers)
	}
	if h.stop == nil {
		done, err := h.work.begin()
		if err != nil {
			return nil, err
		}
		var ctx context.Context
		ctx, h.stop = context.WithCancel(h.work.ctx)
		go func() {
			defer done()
			h.read(ctx)
		}()
	}
	w := &watcher{filter: f, most: firstRows}
	for i := range h.recent {
		if f.wants(&h.recent[i]) {
			w.put(h.recent[i].row)
		}
	}
	w.left = 0 // these are from before
	if h.watchers == nil {
		h.watchers = map[*watcher]bool{}
	}
	h.watchers[w] = true
	return w, nil
}

// remove removes a browser, and stops reading after the last.
func (h *hub) remove(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if delete(h.watchers, w); len(h.watchers) == 0 && h.stop != nil {
		h.stop()
		h.stop, h.recent = nil, nil
	}
}

// put adds a row in place of the oldest that waits, if there are many.
func (w *watcher) put(r row) {
	if len(w.rows) == w.most {
		copy(w.rows, w.rows[1:])
		w.rows = w.rows[:w.most-1]
		w.left++
	}
	w.rows = append(w.rows, r)
}

// take returns what has arrived for a browser.
func (h *hub) take(w *watcher) frame {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := frame{Rows: append([]row{}, w.rows...), Left: w.left, Seen: w.seen}
	if h.err != nil {
		f.Why = h.err.Error()
	}
	if len(w.rows) > 0 {
		w.most = mostRows
	}
	w.rows, w.left, w.seen = nil, 0, 0
	return f
}

// read reads the log until ctx ends.
func (h *hub) read(ctx context.Context) {
	for last := eventlog.Position(-1); ctx.Err() == nil; {
		begin := time.Now()
		stats, err := h.log.Stats(ctx)
		if err == nil {
			after := max(last, stats.Last-mostRecent, 0)
			switch {
			case last < 0:
				h.begin(ctx, stats.Last)
			case after > last:
				h.skip(ctx, int64(after-last))
			}
			last, err = h.follow(ctx, after)
		}
		pause := frameEvery - time.Since(begin)
		if err != nil {
			pause = time.Second
		}
		h.note(ctx, err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// follow hands out what comes after a position, until more arrives than it may read. It
// returns the last position that it has read. It pauses again and again: what arrives
// meanwhile is read at once, where a log would otherwise be asked for each commit.
func (h *hub) follow(ctx context.Context, after eventlog.Position) (eventlog.Position, error) {
	begin := time.Now()
	paused, read := begin, 0
	for record, err := range h.log.Tail(ctx, from(after)) {
		if err != nil {
			return after, err
		}
		after = record.Position
		h.hand(ctx, &record)
		if read++; read >= mostRead || read >= busy && time.Since(begin) > lookEvery {
			return after, nil
		}
		if time.Since(paused) < readFor {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(frameEvery - readFor):
		}
		paused, read = time.Now(), 0
	}
	return after, nil
}

// hand hands an event to the browsers that want it.
func (h *hub) hand(ctx context.Context, record *eventlog.Record) {
	a := arrival{newRow(record), record.Type, record.Source, record.Subject}
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return // others read by now
	}
	h.err = nil
	for w := range h.watchers {
		if w.filter.wants(&a) {
			w.put(a.row)
		}
		if w.seen++; a.Position <= h.past {
			w.left, w.seen = 0, 0
		}
	}
	if len(h.recent) == mostRecent {
		h.recent = slices.Delete(h.recent, 0, mostRecent/2)
	}
	h.recent = append(h.recent, a)
}

// begin notes what was stored before anybody watched.
func (h *hub) begin(ctx context.Context, last eventlog.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() == nil {
		h.past = last
	}
}

// skip counts events that are not read.
func (h *hub) skip(ctx context.Context, events int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	for w := range h.watchers {
		w.left += events
		w.seen += events
	}
}

// note notes why the log can't be read, or that it can.
func (h *hub) note(ctx context.Context, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() == nil {
		h.err = err
	}
}

// live answers with events as they arrive, as server-sent events, until the browser leaves.
func (p *page) live(w http.ResponseWriter, r *http.Request) {
	if _, _, err := p.identify(r); err != nil {
		fail(w, err)
		return
	}
	watching, err := p.hub.add(filter{r.FormValue("type"), r.FormValue("source"), r.FormValue("subject")})
	if err != nil {
		fail(w, err)
		return
	}
	defer p.hub.remove(watching)
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // the request is read, and this lasts
	send := func(f frame) error {
		text, err := json.Marshal(f)
		if err != nil {
			return err
		}
		_ = control.SetWriteDeadline(time.Now().Add(patience))
		if _, err := fmt.Fprintf(w, "data: %s\n\n", text); err != nil {
			return err
		}
		return control.Flush()
	}
	tick := time.NewTicker(frameEvery)
	defer tick.Stop()
	first, sent, identified := p.hub.take(watching), time.Now(), time.Now()
	first.Server = p.started
	for err := send(first); err == nil; {
		select {
		case <-r.Context().Done():
			return
		case <-p.work.ctx.Done():
			return
		case <-tick.C:
		}
		if time.Since(identified) >= identifyEvery {
			if _, _, err := p.identify(r); err != nil {
				return
			}
			identified = time.Now()
		}
		if f := p.hub.take(watching); f.Seen > 0 || f.Why != "" || len(f.Rows) > 0 || time.Since(sent) >= pingEvery {
			err = send(f)
			sent = time.Now()
		}
	}
}
