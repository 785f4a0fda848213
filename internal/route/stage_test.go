package route

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"paperpath/internal/dsn"
	"paperpath/internal/maillog"
	"paperpath/internal/spool"
)

// path is a home with a spool, the route stage and a clock that a test sets.
type path struct {
	t     *testing.T
	home  string
	sp    *spool.Spool
	stage *Stage
	log   bytes.Buffer
	time  time.Time
}

func newPath(t *testing.T, aliases string) *path {
	t.Helper()
	dir, c := home(t, map[string]string{"hostname": "mx.example.net\n", "domains": domains, "users": users, "aliases": aliases})
	p := &path{t: t, home: dir, time: time.Now()}
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := spool.Init(dir); err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return p.time }
	sp, err := spool.Open(dir, spool.Options{Now: now, Hostname: "mx.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sp.Close() })
	settler := &dsn.Settler{Control: c, Log: maillog.To(&p.log, "test", now), Now: now, Home: dir}
	p.sp, p.stage = sp, &Stage{Control: c, Settle: settler.Settle, Now: now}
	return p
}

// accept puts a message into route/. A recipient may have parameters behind a
// blank.
func (p *path) accept(from, with string, to ...string) spool.Key {
	p.t.Helper()
	env := spool.Envelope{From: spool.Path{Addr: from}}
	for _, word := range to {
		a, params, _ := strings.Cut(word, " ")
		env.To = append(env.To, spool.Recipient{Addr: a, Params: params})
	}
	k, err := p.sp.Accept(spool.Route, env, nil, spool.Trace{By: "mx.example.net", With: with},
		spool.BytesBody([]byte("From: "+from+"\nSubject: x\n\nhello\n")))
	if err != nil {
		p.t.Fatal(err)
	}
	return k
}

func (p *path) runner(in spool.Inbox, h spool.Handler) *spool.Runner {
	return &spool.Runner{Spool: p.sp, Inbox: in, Handle: h, Log: maillog.To(&p.log, "test", time.Now), Retry: p.stage.Control.Retry}
}

func (p *path) run() {
	p.t.Helper()
	if err := p.runner(spool.Route, p.stage.Handle).Run(context.Background()); err != nil {
		p.t.Fatal(err)
	}
}

// head is what stands in an entry above its Received, as one line, with the
// directory that it is in. Done recipients stand in brackets.
func (p *path) heads() []string {
	p.t.Helper()
	list := []string{}
	for _, in := range spool.Inboxes() {
		entries, err := p.sp.List(in)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, l := range entries {
			if l.State == "foreign" || l.State == "torn" {
				p.t.Errorf("%s/%s: %s", in, l.Name, l.LastReason)
			}
			line := string(in) + " " + l.State + " <" + l.Envelope.From.Addr + ">"
			for _, r := range l.Envelope.To {
				word := strings.TrimSpace(r.Addr + " " + r.Params)
				if r.Done {
					word = "[" + word + "]"
				}
				line += " " + word
			}
			list = append(list, line)
		}
	}
	slices.Sort(list)
	return list
}

func (p *path) want(want ...string) {
	p.t.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(append([]string{}, want...), p.heads()); diff != "" {
		p.t.Errorf("spool (-want +got):\n%s\n%s", diff, p.log.String())
	}
	for _, in := range spool.Inboxes() {
		if left, _ := os.ReadDir(filepath.Join(p.home, "spool", string(in), "tmp")); len(left) > 0 {
			p.t.Errorf("left in %s/tmp: %v", in, left)
		}
	}
}

const sender = "alice@example.net"

func TestStage(t *testing.T) {
	tests := []struct {
		about, aliases string
		to, want       []string
	}{
		{"one mailbox", "", []string{"bob@example.net"}, []string{"deliver new <alice@example.net> bob@example.net"}},
		{"the bytes of an address stay", "", []string{"BOB+x@Example.net"}, []string{"deliver new <alice@example.net> BOB+x@Example.net"}},
		{"other hosts only", "", []string{"a@x.example", "b@y.example"}, []string{"relay new <alice@example.net> a@x.example b@y.example"}},
		{"split", "", []string{"bob@example.net", "a@x.example", "carol@example.net", "b@y.example"}, []string{
			"deliver new <alice@example.net> bob@example.net", "deliver new <alice@example.net> carol@example.net",
			"relay new <alice@example.net> a@x.example b@y.example"}},
		{"two mailboxes", "", []string{"bob@example.net", "alice@example.net"}, []string{
			"deliver new <alice@example.net> alice@example.net", "deliver new <alice@example.net> bob@example.net"}},
		{"alias of one", "info: bob", []string{"info@example.net"}, []string{"deliver new <alice@example.net> bob@example.net"}},
		{"alias to other hosts", "all: a@x.example, b@y.example", []string{"all@example.net", "B@y.example"},
			[]string{"relay new <alice@example.net> a@x.example b@y.example"}},
		{"duplicates", "team: bob, carol", []string{"team@example.net", "BOB@example.net", "bob+x@example.net"}, []string{
			"deliver new <alice@example.net> bob+x@example.net", "deliver new <alice@example.net> bob@example.net",
			"deliver new <alice@example.net> carol@example.net"}},
		{"duplicates become one mailbox", "", []string{"bob@example.net", "Bob@example.net"},
			[]string{"deliver new <alice@example.net> bob@example.net"}},
		{"parameters go along", "info: bob, a@x.example", []string{"info@example.net NOTIFY=NEVER", "carol@example.net NOTIFY=FAILURE"}, []string{
			"deliver new <alice@example.net> bob@example.net NOTIFY=NEVER ORCPT=rfc822;info@example.net",
			"deliver new <alice@example.net> carol@example.net NOTIFY=FAILURE",
			"relay new <alice@example.net> a@x.example NOTIFY=NEVER ORCPT=rfc822;info@example.net"}},
		{"ORCPT stays", "info: bob", []string{"info+x=1@example.net NOTIFY=FAILURE ORCPT=rfc822;old@x.example"},
			[]string{"deliver new <alice@example.net> bob@example.net NOTIFY=FAILURE ORCPT=rfc822;old@x.example"}},
		{"ORCPT is xtext", "info: bob", []string{"info+x=1@example.net NOTIFY=FAILURE"},
			[]string{"deliver new <alice@example.net> bob@example.net NOTIFY=FAILURE ORCPT=rfc822;info+2Bx+3D1@example.net"}},
		{"postmaster without a domain", "", []string{"postmaster"}, []string{"deliver new <alice@example.net> alice@example.net"}},
		{"unknown", "", []string{"nobody@example.net"}, []string{"deliver new <> alice@example.net"}},
		{"unknown beside others", "", []string{"bob@example.net", "nobody@example.net", "a@x.example"}, []string{
			"deliver new <> alice@example.net", "deliver new <alice@example.net> bob@example.net",
			"relay new <alice@example.net> a@x.example"}},
		{"unknown, no report wanted", "", []string{"nobody@example.net NOTIFY=NEVER"}, []string{}},
		{"a dead name in an alias", "team: bob, nobody", []string{"team@example.net"}, []string{
			"deliver new <> alice@example.net", "deliver new <alice@example.net> bob@example.net"}},
		{"a loop waits", "a: b\nb: a", []string{"a@example.net", "bob@example.net"}, []string{
			"deliver new <alice@example.net> bob@example.net",
			"route deferred <alice@example.net> a@example.net [bob@example.net]"}},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			p := newPath(t, tt.aliases+"\n")
			p.accept(sender, spool.WithLocal, tt.to...)
			p.run()
			p.want(tt.want...)
		})
	}
}

// What could not be looked up waits; the rest has gone and is not sent again.
func TestTheTablesMend(t *testing.T) {
	p := newPath(t, "a: b\nb: a\n")
	p.accept(sender, spool.WithLocal, "a@example.net", "bob@example.net", "x@x.example")
	p.run()
	waits := "route deferred <alice@example.net> a@example.net [bob@example.net] [x@x.example]"
	p.want(waits, "deliver new <alice@example.net> bob@example.net", "relay new <alice@example.net> x@x.example")
	// Both have left their inboxes before the next attempt.
	p.empty(spool.Deliver)
	p.empty(spool.Relay)
	p.time = p.time.Add(time.Hour)
	p.run()
	p.want(waits)
	write(t, p.home, "aliases", "a: carol@example.net\n")
	p.time = p.time.Add(24 * time.Hour)
	p.run()
	p.want("deliver new <alice@example.net> carol@example.net")
}

func (p *path) empty(in spool.Inbox) {
	p.t.Helper()
	err := p.runner(in, func(context.Context, *spool.Entry) spool.Outcome { return spool.DropBecause("test") }).Run(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
}

// The SMTP session found the address; a day long we believe it.
func TestAcceptedAtRCPTIsTemporaryForADay(t *testing.T) {
	p := newPath(t, "")
	p.accept(sender, "ESMTPSA", "nobody@example.net")
	p.run()
	p.want("route deferred <alice@example.net> nobody@example.net")
	p.time = p.time.Add(23 * time.Hour)
	p.run()
	p.want("route deferred <alice@example.net> nobody@example.net")
	p.time = p.time.Add(5 * time.Hour) // the longest step is 4 hours
	p.run()
	p.want("deliver new <> alice@example.net")
}

func TestAStrangerGetsNoBounce(t *testing.T) {
	p := newPath(t, "")
	p.accept("x@x.example", "ESMTP", "nobody@example.net", "bob@example.net")
	p.time = p.time.Add(25 * time.Hour)
	p.run()
	p.want("deliver new <x@x.example> bob@example.net", "hold held <x@x.example> nobody@example.net [bob@example.net]")
}

// Settings that cannot be read are nobody's fault but ours.
func TestBrokenSettingsWait(t *testing.T) {
	for _, file := range []string{"users", "domains", "aliases", "retry"} {
		p := newPath(t, "")
		write(t, p.home, file, "a b c\x01\n")
		p.accept(sender, spool.WithLocal, "nobody@example.net")
		p.run()
		p.want("route deferred <alice@example.net> nobody@example.net")
	}
}

// Whatever becomes of the others: what is placed must not be sent twice.
func TestPlacedIsDoneWhateverSettleSays(t *testing.T) {
	p := newPath(t, "")
	p.stage.Settle = func(*spool.Entry, []dsn.Result) spool.Outcome {
		return spool.DeferUntil(p.time.Add(time.Hour), "trouble")
	}
	p.accept(sender, spool.WithLocal, "nobody@example.net", "bob@example.net")
	p.run()
	p.want("deliver new <alice@example.net> bob@example.net", "route deferred <alice@example.net> nobody@example.net [bob@example.net]")
}

// The address of a blind copy stands in no file but its own: no mailbox, no
// peer and no report gets it.
func TestBlindCopiesStayBlind(t *testing.T) {
	p := newPath(t, "team: bob, far@y.example, dead\n")
	hidden := map[string]string{ // address to the one place where it may stand
		"bob@example.net": "deliver", "carol@example.net": "deliver",
		"nobody@example.net": "report", "dead@example.net": "report", "team@example.net": "",
	}
	p.accept(sender, spool.WithLocal, "bob@example.net", "carol@example.net", "nobody@example.net",
		"far@x.example", "team@example.net")
	p.run()
	files := p.files()
	if len(files) != 5 { // bob, carol, relay, two reports
		t.Errorf("%d files: %v", len(files), p.heads())
	}
	for name, data := range files {
		var found []string
		for address := range hidden {
			if bytes.Contains(data, []byte(address)) {
				found = append(found, address)
			}
		}
		_, content, _ := bytes.Cut(data, []byte("\nReceived: "))
		relay := strings.HasPrefix(name, "relay/")
		switch {
		case relay && len(found) > 0, !relay && len(found) != 1:
			t.Errorf("%s holds %q", name, found)
		case relay && bytes.Contains(content, []byte("far@")):
			t.Errorf("%s names its recipients below the envelope", name)
		}
	}
}

// files returns all entries of the spool.
func (p *path) files() map[string][]byte {
	p.t.Helper()
	all := map[string][]byte{}
	for _, in := range spool.Inboxes() {
		for _, sub := range []string{"new", "cur"} {
			dir := filepath.Join(p.home, "spool", string(in), sub)
			names, err := os.ReadDir(dir)
			if err != nil {
				p.t.Fatal(err)
			}
			for _, n := range names {
				data, err := os.ReadFile(filepath.Join(dir, n.Name()))
				if err != nil {
					p.t.Fatal(err)
				}
				all[string(in)+"/"+sub+"/"+n.Name()] = data
			}
		}
	}
	return all
}

// A crash between the children and the end of their parent: the parent is
// there again, and its children are not made twice.
func TestSplitIsRepeatable(t *testing.T) {
	p := newPath(t, "team: bob, carol\n")
	p.accept(sender, spool.WithLocal, "team@example.net", "a@x.example", "nobody@example.net")
	var parent string
	for name := range p.files() {
		parent = name
	}
	data := p.files()[parent]
	p.run()
	first := p.files()
	if len(first) != 4 { // bob, carol, relay, report
		t.Fatalf("%d files: %q", len(first), p.heads())
	}
	if err := os.WriteFile(filepath.Join(p.home, "spool", parent), data, 0o600); err != nil {
		t.Fatal(err)
	}
	p.run()
	if diff := cmp.Diff(keys(first), keys(p.files())); diff != "" {
		t.Error(diff)
	}
}

func keys(files map[string][]byte) []string {
	var list []string
	for name := range files {
		list = append(list, regexp.MustCompile(`,.*`).ReplaceAllString(name, ""))
	}
	slices.Sort(list)
	return list
}

func TestDoneRecipientsAreLeftOut(t *testing.T) {
	_, c := home(t, map[string]string{"domains": domains, "users": users})
	e := &spool.Entry{Envelope: spool.Envelope{To: []spool.Recipient{
		{Addr: "bob@example.net", Done: true}, {Addr: "carol@example.net"}, {Addr: "a@x.example", Done: true}}}}
	d := Decide(c, e, time.Now(), nil)
	want := Decision{Placed: []int{1}, Children: []spool.Child{{Inbox: spool.Deliver, To: []spool.Recipient{{Addr: "carol@example.net"}}}}}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	e.Envelope.To[1].Done = true
	o := (&Stage{Control: c, Now: time.Now}).Handle(context.Background(), e)
	if diff := cmp.Diff(spool.DropBecause("all recipients are done"), o); diff != "" {
		t.Error(diff)
	}
}

func TestARecipientThatIsNoAddress(t *testing.T) {
	_, c := home(t, map[string]string{"domains": domains, "users": users})
	e := &spool.Entry{Envelope: spool.Envelope{To: []spool.Recipient{{Addr: "a b@example.net"}}}}
	d := Decide(c, e, time.Now(), nil)
	if len(d.Failed) != 1 || !strings.Contains(d.Failed[0].Err.Error(), "no address") {
		t.Errorf("%+v", d)
	}
}
