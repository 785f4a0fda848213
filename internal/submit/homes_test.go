package submit

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"paperpath/internal/check"
	"paperpath/internal/control"
	"paperpath/internal/deliver"
	"paperpath/internal/home"
	"paperpath/internal/maillog"
	"paperpath/internal/rights"
	"paperpath/internal/route"
	"paperpath/internal/sendmail"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// eventLog is written by sessions that may still run when the test reads it.
type eventLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *eventLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *eventLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *eventLog) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

// site is one of two homes that forward to each other, with all its stages.
type site struct {
	domain string
	home   *home.Home
	sp     *spool.Spool
	log    eventLog
	client func() (*smtp.Client, error) // speaks to its server
	next   *site
	far    []string // recipients elsewhere that got a message
	shift  time.Duration
}

func newSite(t *testing.T, domain string, role Role) *site {
	t.Helper()
	s := &site{domain: domain}
	dir := memoryDir(t)
	err := spool.Init(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"control", "log", "run", "mail"} {
		if err := os.Mkdir(filepath.Join(dir, part), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := spool.WriteMark(filepath.Join(dir, "mail")); err != nil {
		t.Fatal(err)
	}
	// An hour ahead: no file looks as if an editor were at work.
	c := control.Open(dir, func() time.Time { return time.Now().Add(time.Hour) })
	s.home = &home.Home{Place: rights.Place{Name: "mailsubmit", Dir: dir}, Control: c, Log: maillog.To(&s.log, "test", time.Now)}
	s.write(t, "hostname", "mx."+domain+"\n")
	s.write(t, "domains", domain+"\n")
	s.write(t, "limits", "bounces: 1000000\n")
	s.write(t, "users", "")
	if s.sp, err = spool.Open(dir, spool.Options{Now: s.now, Hostname: "mx." + domain, Log: s.home.Log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.sp.Close() })
	s.listen(t, role)
	return s
}

func (s *site) now() time.Time { return time.Now().Add(s.shift) }

func (s *site) write(t rapid.TB, name, text string) {
	if err := os.WriteFile(filepath.Join(s.home.Dir, "control", name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// listen starts the site's server for other homes.
func (s *site) listen(t *testing.T, role Role) {
	t.Helper()
	srv, err := newServer(s.home, role)
	if err != nil {
		t.Fatal(err)
	}
	network, address := "tcp", "127.0.0.1:0"
	if role == Local {
		network, address = "unix", filepath.Join(s.home.Dir, sendmail.Socket)
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			srv.serve(context.Background(), &home.Client{Conn: conn})
			conn.Close()
		}
	}()
	s.client = func() (*smtp.Client, error) {
		conn, err := net.Dial(network, l.Addr().String())
		if err != nil {
			return nil, err
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		if role == LMTP {
			return smtp.NewClientLMTP(conn), nil
		}
		return smtp.NewClient(conn), nil
	}
}

// relay is the stage of relay/: mail for the other home is sent to its server,
// other recipients are noted.
func (s *site) relay(_ context.Context, e *spool.Entry) spool.Outcome {
	var there []int
	var results []settle.Result
	for _, i := range e.Pending() {
		if a := e.Envelope.To[i].Addr; strings.HasSuffix(a, "@"+s.next.domain) {
			there = append(there, i)
		} else {
			s.far = append(s.far, a)
			results = append(results, settle.Result{Index: i})
		}
	}
	return s.settler().Settle(e, append(results, s.next.take(e, there)...))
}

// take sends a message to the server of s.
func (s *site) take(e *spool.Entry, to []int) []settle.Result {
	if len(to) == 0 {
		return nil
	}
	failed := map[int]error{}
	err := s.transaction(e, to, failed)
	var results []settle.Result
	for _, i := range to {
		r := settle.Result{Index: i, Err: failed[i]}
		if r.Err == nil {
			r.Err = err
		}
		if refusal, ok := r.Err.(*smtp.SMTPError); ok && refusal.Code >= 500 {
			r.Err = &status.Error{Exit: status.Unavailable, Reply: refusal.Code, Text: refusal.Message}
		}
		results = append(results, r)
	}
	return results
}

func (s *site) transaction(e *spool.Entry, to []int, failed map[int]error) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Mail(e.Envelope.From.Addr, nil); err != nil {
		return err
	}
	for _, i := range to {
		failed[i] = c.Rcpt(e.Envelope.To[i].Addr, nil)
	}
	if !slices.ContainsFunc(to, func(i int) bool { return failed[i] == nil }) {
		return nil
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, e.Content()); err != nil {
		return err
	}
	return w.Close() // of LMTP an error of any recipient
}

func (s *site) settler() *settle.Settler {
	return &settle.Settler{Control: s.home.Control, Log: s.home.Log, Now: s.now, Home: s.home.Dir}
}

// work runs every stage once.
func (s *site) work(ctx context.Context) error {
	settle := s.settler().Settle
	checker := &check.Stage{Checker: &check.Checker{Control: s.home.Control, Host: "mx.example.net", Now: time.Now, Log: s.home.Log}, Settle: settle}
	router := &route.Stage{Control: s.home.Control, Settle: settle, Now: s.now}
	deliverer := &deliver.Stage{Control: s.home.Control, Home: s.home.Dir, Settle: settle, Now: s.now}
	for _, at := range []struct {
		in spool.Inbox
		h  spool.Handler
	}{{spool.InboxCheck, checker.Handle}, {spool.InboxRoute, router.Handle}, {spool.InboxDeliver, deliverer.Handle}, {spool.InboxRelay, s.relay}} {
		r := &spool.Runner{Spool: s.sp, Inbox: at.in, Handle: at.h, Retry: s.home.Control.Retry}
		if err := r.Run(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// left counts the entries that are not held.
func (s *site) left(t rapid.TB) (n int) {
	for _, in := range []spool.Inbox{spool.InboxCheck, spool.InboxRoute, spool.InboxDeliver, spool.InboxRelay} {
		list, err := s.sp.List(in)
		if err != nil {
			t.Fatal(err)
		}
		n += len(list)
	}
	return n
}

// harvest counts the copies of the message in the mailboxes, and empties the
// mailboxes and hold/.
func (s *site) harvest(t rapid.TB, into map[string]int) {
	for _, pattern := range []string{"mail/*/*/Maildir/new/*", "spool/hold/new/*", "spool/hold/reason/*"} {
		files, err := filepath.Glob(filepath.Join(s.home.Dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			head, _, _ := strings.Cut(string(text), "\n\n")
			if box := filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(path)))); strings.HasPrefix(pattern, "mail") &&
				box != "sender" && strings.Contains(head, "\nSubject: the message") {
				into[box+"@"+s.domain]++
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, a := range s.far {
		into[a]++
	}
	s.far = nil
}

// carriers are the ways from one home to the other.
var carriers = map[string]Role{"SMTP": MX, "LMTP": LMTP, "run/submit": Local}

func eachCarrier(t *testing.T, do func(t *testing.T, sites [2]*site)) {
	for name, role := range carriers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, two := newSite(t, "one.example", role), newSite(t, "two.example", role)
			one.next, two.next = two, one
			do(t, [2]*site{one, two})
		})
	}
}

// Whatever the aliases of two homes are that forward to each other: every run ends,
// and everyone gets a message for each separate way that leads there, which is one
// for almost all, and at least one.
func TestTwoHomes(t *testing.T) {
	eachCarrier(t, func(t *testing.T, sites [2]*site) {
		begin := time.Now()
		rapid.Check(t, func(t *rapid.T) {
			if time.Since(begin) > patience() {
				return
			}
			w := drawWeb(t)
			to := rapid.SliceOfNDistinct(rapid.SampledFrom(w.names), 1, 2, rapid.ID).Draw(t, "to")
			got := send(t, sites, w, to)
			if diff := cmp.Diff(w.expect(to), got); diff != "" {
				t.Errorf("mail for %q (-want +got):\n%s\n%s\n%s", to, diff, sites[0].log.String(), sites[1].log.String())
			}
			for a := range w.leaves(to) {
				if got[a] == 0 {
					t.Errorf("mail for %q does not reach %s", to, a)
				}
			}
		})
	})
}

// patience is how long one carrier is tried: for a short time, unless more checks
// were asked for than rapid does by default.
func patience() time.Duration {
	if n, err := strconv.Atoi(flag.Lookup("rapid.checks").Value.String()); err == nil && n > 100 {
		return time.Hour
	}
	return 6 * time.Second
}

// Aliases as people write them: everyone gets one message.
func TestTwoHomesEach(t *testing.T) {
	tests := []struct {
		about string
		rows  map[string][]string
		want  map[string]int
	}{
		{"a copy for each other", map[string][]string{"a@one.example": {"a@one.example", "e@two.example"}, "e@two.example": {"e@two.example", "a@one.example"}},
			map[string]int{"a@one.example": 1, "e@two.example": 1}},
		{"lists that name each other", map[string][]string{"a@one.example": {"b@one.example", "e@two.example"}, "e@two.example": {"f@two.example", "a@one.example"}},
			map[string]int{"b@one.example": 1, "f@two.example": 1}},
		{"with extensions", map[string][]string{"a@one.example": {"a@one.example", "e+x@two.example"}, "e@two.example": {"e@two.example", "a+y@one.example"}},
			map[string]int{"a@one.example": 1, "e@two.example": 1}},
		{"by way of another alias", map[string][]string{"a@one.example": {"c@one.example"}, "c@one.example": {"b@one.example", "e@two.example"}, "e@two.example": {"c@one.example"}},
			map[string]int{"b@one.example": 1}},
	}
	eachCarrier(t, func(t *testing.T, sites [2]*site) {
		for _, tt := range tests {
			w := web{names: webNames[:], rows: tt.rows, boxes: map[string]bool{}}
			for _, n := range webNames {
				w.boxes[n] = true
			}
			if diff := cmp.Diff(tt.want, send(t, sites, w, []string{"a@one.example"})); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%s\n%s", tt.about, diff, sites[0].log.String(), sites[1].log.String())
			}
		}
	})
}

// send sends one message from the first home and returns who got how many.
func send(t rapid.TB, sites [2]*site, w web, to []string) map[string]int {
	for _, s := range sites {
		users, aliases := w.tables(s.domain)
		s.write(t, "users", users)
		s.write(t, "aliases", aliases)
		s.shift = 0
		s.log.Reset()
	}
	env := spool.Envelope{From: spool.Path{Addr: "sender@one.example"}}
	for _, a := range to {
		env.To = append(env.To, spool.Recipient{Addr: a})
	}
	const text = "From: sender@one.example\nDate: Sat, 28 Nov 2026 01:00:00 +0000\nMessage-ID: <1@one.example>\nSubject: the message\n\nhello\n"
	_, err := sites[0].sp.Accept(spool.InboxRoute, env, nil, spool.Trace{By: "mx.one.example", With: spool.WithLocal}, spool.BytesBody([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	const most = 60 // rounds: more than any of these graphs has ways
	for round := 0; sites[0].left(t)+sites[1].left(t) > 0; round++ {
		for _, s := range sites {
			if err := s.work(ctx); err != nil || round == most {
				t.Fatalf("no end after %d rounds: %v\n%s", round, err, s.log.String())
			}
			s.shift += 5 * time.Hour // what is believed for a day comes to its end too
		}
	}
	got := map[string]int{}
	for _, s := range sites {
		s.harvest(t, got)
	}
	return got
}
