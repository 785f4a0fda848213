package dns

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paperpath/internal/dns/dnstest"
)

// hand is a clock that the test moves.
type hand struct{ at atomic.Int64 }

func (h *hand) Now() time.Time          { return time.Unix(1_800_000_000, 0).Add(time.Duration(h.at.Load())) }
func (h *hand) advance(d time.Duration) { h.at.Add(int64(d)) }

func timed(t *testing.T, zone string) (*Resolver, *dnstest.Server, *hand) {
	r, s := zones(t, zone)
	h := &hand{}
	r.Now = h.Now
	return r, s, h
}

// An answer is remembered for as long as it says, between a floor and a ceiling: records by
// the smallest TTL on the way to them, their absence by the SOA, failures for moments.
func TestHowLong(t *testing.T) {
	for _, c := range []struct {
		name, zone string
		want       time.Duration
	}{
		{"records", "x.example 300 MX 10 a.example", 300 * time.Second},
		{"of two TTLs the smaller one", "x.example 300 MX 10 a.example\nx.example 200 MX 20 b.example", 200 * time.Second},
		{"of an alias", "x.example 100 CNAME y.example\ny.example 300 MX 10 a.example", 100 * time.Second},
		{"behind an alias", "x.example 300 CNAME y.example\ny.example 100 MX 10 a.example", 100 * time.Second},
		{"the floor", "x.example 0 MX 10 a.example", floor},
		{"the ceiling", "x.example 999999 MX 10 a.example", ceiling},
		{"a TTL with the highest bit", "x.example 2147483648 MX 10 a.example", floor},
		{"no domain, SOA minimum", "example 900 SOA ns.example h.example 1 2 3 4 120", 120 * time.Second},
		{"no domain, TTL of the SOA", "example 60 SOA ns.example h.example 1 2 3 4 120", 60 * time.Second},
		{"no domain, the ceiling", "example 86400 SOA ns.example h.example 1 2 3 4 86400", negCeiling},
		{"no record, SOA minimum", "example 900 SOA ns.example h.example 1 2 3 4 120\nx.example TXT x", 120 * time.Second},
		{"no domain behind an alias", "example 900 SOA ns.example h.example 1 2 3 4 120\nx.example 90 CNAME y.example", 90 * time.Second},
		{"nothing, without an SOA", "", floor},
		{"SERVFAIL", "x.example !servfail", refusedFor},
		{"REFUSED", "x.example !refused", refusedFor},
		{"silence", "x.example !silent", silentFor},
		{"a circle", "x.example CNAME y.example\ny.example CNAME x.example", refusedFor},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, s, clock := timed(t, c.zone)
			if strings.Contains(c.zone, "silent") {
				r.tryTime = 50 * time.Millisecond
			}
			first, why := r.MX(t.Context(), "x.example")
			asked := s.Count("")
			clock.advance(c.want - time.Millisecond)
			again, err := r.MX(t.Context(), "X.Example.")
			if s.Count("") != asked || !slices.Equal(first, again) || fmt.Sprint(why) != fmt.Sprint(err) {
				t.Errorf("asked again before %v: %v %v, then %v %v", c.want, first, why, again, err)
			}
			clock.advance(time.Millisecond)
			if _, err = r.MX(t.Context(), "x.example"); s.Count("") == asked || fmt.Sprint(why) != fmt.Sprint(err) {
				t.Errorf("not asked again after %v, or another answer: %v", c.want, err)
			}
			asked = s.Count("")
			clock.advance(-time.Hour)
			if r.MX(t.Context(), "x.example"); s.Count("") == asked {
				t.Error("the clock goes back, and the answer is believed longer")
			}
		})
	}
}

// What was remembered of other servers is forgotten.
func TestOtherServersForget(t *testing.T) {
	a, b := dnstest.New(t, "x.example TXT a\nx.example !ad"), dnstest.New(t, "x.example TXT b")
	setting := fixed(a.Addr)
	r := newResolver(t, "")
	r.settings = &setting
	want := func(text string, secure bool) {
		t.Helper()
		got, err := r.Ask(t.Context(), "x.example", TypeTXT)
		if err != nil || got.Records[0].Text != text || got.Secure != secure {
			t.Errorf("%+v, %v, want %s, secure %v", got, err, text, secure)
		}
	}
	want("a", false)
	setting = fixed(b.Addr)
	want("b", false)
	setting = fixed(a.Addr)
	want("a", false)
	setting = fixed(a.Addr + " trust-ad")
	want("a", true)
	if n := a.Count(""); n != 3 {
		t.Errorf("%d questions, want 3", n)
	}
}

// The AD bit counts only from a trusted server, in every answer on the way, for what is
// there and for what is not.
func TestSecure(t *testing.T) {
	const zone = `
		signed.example TXT x
		signed.example !ad
		plain.example TXT x
		half.example CNAME plain.example
		half.example !ad !nofollow
		whole.example CNAME signed.example
		whole.example !ad !nofollow
		gone.example MX 10 x
		gone.example !ad`
	s := dnstest.New(t, zone)
	for _, c := range []struct {
		name          string
		secure, there bool
	}{{"signed", true, true}, {"plain", false, true}, {"half", false, true}, {"whole", true, true}, {"gone", true, false}} {
		for _, word := range []string{"", " trust-ad"} {
			r := newResolver(t, s.Addr+word)
			a, err := r.Ask(t.Context(), c.name+".example", TypeTXT)
			if want := c.secure && word != ""; a.Secure != want || (err == nil) != c.there {
				t.Errorf("%s%s: secure is %v, %v", c.name, word, a.Secure, err)
			} else if e, ok := err.(*Error); ok && e.Secure != want {
				t.Errorf("%s%s: the error says %v", c.name, word, e.Secure)
			}
		}
	}
}

// Many who ask the same at a time share one answer; one who gives up takes it from nobody.
func TestAskedOnce(t *testing.T) {
	r, s := zones(t, "x.example TXT x\nx.example !delay=100ms")
	impatient, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := r.TXT(impatient, "x.example"); kindOf(err) != "temporary" {
			t.Error(err)
		}
	})
	for s.Count("") == 0 {
		time.Sleep(time.Millisecond)
	}
	for range 20 {
		all.Go(func() {
			if got, err := r.TXT(t.Context(), "x.example"); err != nil || !slices.Equal(got, []string{"x"}) {
				t.Error(got, err)
			}
		})
	}
	m, _ := r.current()
	waiting := func() int {
		m.mu.Lock()
		defer m.mu.Unlock()
		if f := m.flights[question{"x.example", TypeTXT}]; f != nil {
			return f.waiting
		}
		return -1
	}
	for n := 0; n != 21 && n >= 0; n = waiting() {
		time.Sleep(time.Millisecond)
	}
	cancel()
	all.Wait()
	if n := s.Count(""); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// A question that nobody waits for any more is given up, and its failure is not
// remembered.
func TestGivenUp(t *testing.T) {
	r, s := zones(t, "x.example TXT x\nx.example !silent")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := r.TXT(ctx, "x.example"); kindOf(err) != "temporary" {
		t.Error(err)
	}
	m, _ := r.current()
	m.mu.Lock()
	if n := len(m.flights); n != 0 {
		t.Errorf("%d questions are still asked", n)
	}
	m.mu.Unlock()
	if err := s.Set("x.example TXT x"); err != nil {
		t.Fatal(err)
	}
	if got, err := r.TXT(t.Context(), "x.example"); err != nil {
		t.Error(got, err)
	}
}

// The cache keeps within its bounds, and what is asked for often stays.
func TestBounds(t *testing.T) {
	now := time.Unix(1, 0)
	c := newCache()
	dear := question{"dear.example", TypeTXT}
	c.put(dear, &result{ttl: time.Hour}, now)
	for i := range maxEntries + 100 {
		c.put(question{fmt.Sprint(i), TypeTXT}, &result{ttl: time.Hour}, now)
		if i%100 == 0 && c.get(dear, now) == nil {
			t.Fatal("what is asked for often has gone")
		}
	}
	if len(c.entries) != maxEntries || c.get(question{"0", TypeTXT}, now) != nil {
		t.Errorf("%d entries", len(c.entries))
	}
	large := &result{ttl: time.Hour, records: []Record{{Text: strings.Repeat("x", 60000)}}}
	for i := range 1000 {
		c.put(question{fmt.Sprint("l", i), TypeTXT}, large, now)
	}
	if c.octets > maxOctets || len(c.entries) < 100 {
		t.Errorf("%d octets in %d entries", c.octets, len(c.entries))
	}
	for range 3 { // the same question again
		c.put(dear, large, now)
	}
	octets, ring := 0, 0
	for e := c.root.next; e != &c.root; e = e.next {
		octets, ring = octets+e.result.octets(e.question), ring+1
	}
	if octets != c.octets || ring != len(c.entries) {
		t.Errorf("%d octets and %d entries, counted are %d and %d", c.octets, len(c.entries), octets, ring)
	}
	for len(c.entries) > 0 {
		c.remove(c.root.prev)
	}
	if c.octets != 0 || c.root.next != &c.root {
		t.Errorf("%d octets of nothing", c.octets)
	}
	c.put(dear, &result{ttl: time.Hour, records: []Record{{Text: strings.Repeat("x", maxOctets)}}}, now)
	if len(c.entries) != 0 {
		t.Error("one answer takes the whole cache")
	}
}

// Lookups from many goroutines while the servers change.
func TestConcurrent(t *testing.T) {
	a, b := dnstest.New(t, "*.x.example A 192.0.2.1"), dnstest.New(t, "*.x.example A 192.0.2.1")
	var turn atomic.Int64
	r := newResolver(t, "")
	r.settings = alternating{&turn, a.Addr, b.Addr}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				list, err := r.Addrs(t.Context(), fmt.Sprintf("%d.x.example", (i+j)%7))
				if err != nil || !slices.Equal(list, []netip.Addr{netip.MustParseAddr("192.0.2.1")}) {
					t.Error(list, err)
				}
			}
		})
	}
	all.Wait()
}

type alternating struct {
	turn *atomic.Int64
	a, b string
}

func (s alternating) Resolver() (string, bool, error) {
	if s.turn.Add(1)/20%2 == 0 {
		return s.a, false, nil
	}
	return s.b, false, nil
}

// FuzzReply: no packet does harm, and what is read of it is within bounds.
func FuzzReply(f *testing.F) {
	q, err := newQuery("x.example", TypeTXT, true)
	if err != nil {
		f.Fatal(err)
	}
	q.id = 0x1234
	f.Add([]byte("\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01x\x07example\x00\x00\x10\x00\x01" +
		"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x04\x03a\\\xff"))
	f.Add(q.packet)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, packet []byte) {
		r, err := q.read(packet)
		if err != nil {
			return
		}
		if len(r.records) > maxParsed || r.negative < 0 {
			t.Errorf("%+v", r)
		}
		for _, rec := range r.records {
			if rec.TTL < 0 || len(rec.Text) > len(packet) || rec.owner != strings.ToLower(rec.owner) {
				t.Errorf("%+v", rec)
			}
		}
	})
}

// A remembered answer costs about a microsecond and next to no memory.
func BenchmarkWarm(b *testing.B) {
	s := dnstest.New(b, "x.example 3600 TXT \"v=spf1 -all\"\nx.example 3600 A 192.0.2.1\nx.example 3600 MX 10 a.example")
	r := New(fixed(s.Addr))
	ctx := context.Background()
	for name, ask := range map[string]func() error{
		"Ask":   func() error { _, err := r.Ask(ctx, "x.example", TypeTXT); return err },
		"TXT":   func() error { _, err := r.TXT(ctx, "x.example"); return err },
		"MX":    func() error { _, err := r.MX(ctx, "x.example"); return err },
		"Addrs": func() error { _, err := r.Addrs(ctx, "x.example"); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := ask(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A remembered answer costs no system call and at most two small objects.
func TestWarmAllocations(t *testing.T) {
	s := dnstest.New(t, "x.example 3600 TXT x")
	r := New(fixed(s.Addr))
	r.again = time.Hour
	if n := testing.AllocsPerRun(100, func() {
		if _, err := r.TXT(t.Context(), "x.example"); err != nil {
			t.Fatal(err)
		}
	}); n > 2 {
		t.Errorf("%v objects", n)
	}
}
