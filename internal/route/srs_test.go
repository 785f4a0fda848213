package route

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"paperpath/internal/explain"
	"paperpath/internal/spool"
	"paperpath/internal/srs"
	"paperpath/internal/status"
)

const secrets = "the secret of these tests\n"

// reversePaths returns the reverse paths of what is in relay/.
func (p *path) reversePaths() string {
	p.t.Helper()
	var list []string
	err := p.runner(spool.InboxRelay, func(_ context.Context, e *spool.Entry) spool.Outcome {
		list = append(list, e.Envelope.From.Addr+" "+e.Envelope.From.Params)
		return spool.DropBecause("test")
	}).Run(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(strings.Join(list, "\n"))
}

// Mail of strangers that an alias sends on gets a reverse path of the alias's domain; that of
// anybody else, and whatever goes elsewhere without an alias, keeps its own.
func TestForwardedMail(t *testing.T) {
	const aliases = "out: far@far.example, alice\nlist: far@far.example\nowner-list: alice\n"
	for about, tt := range map[string]struct{ secret, from, to, want string }{
		"a stranger's":       {secrets, "s@s.example", "out@example.com", "SRS0=*=s.example=s@example.com"},
		"by the scheme":      {secrets, "SRS0=abcd=AA=o.example=o@s.example", "out@example.net", "SRS1=*=s.example==abcd=AA=o.example=o@example.net"},
		"ours":               {secrets, "bob@example.com", "out@example.net", "bob@example.com"},
		"ours, rewritten":    {secrets, "SRS0=abcd=AA=o.example=o@example.com", "out@example.net", "SRS0=abcd=AA=o.example=o@example.com"},
		"a bounce":           {secrets, "", "out@example.net", ""},
		"no alias":           {secrets, "s@s.example", "far@far.example", "s@s.example"},
		"a list":             {secrets, "s@s.example", "list@example.net", "owner-list@example.net"},
		"without a secret":   {"", "s@s.example", "out@example.net", "s@s.example"},
		"too long, an event": {secrets, strings.Repeat("s", 60) + "@s.example", "out@example.net", strings.Repeat("s", 60) + "@s.example"},
	} {
		t.Run(about, func(t *testing.T) {
			p := newPath(t, aliases)
			if tt.secret != "" {
				write(t, p.home, "srs-secrets", strings.ReplaceAll(tt.secret, " ", "-"))
			}
			p.accept(tt.from, spool.WithLocal, tt.to)
			p.run()
			got := p.reversePaths()
			head, tail, _ := strings.Cut(tt.want, "*")
			if !strings.HasPrefix(got, head) || !strings.HasSuffix(got, tail) || tail == "" && got != head {
				t.Errorf("%s has the reverse path %s, want %s", tt.from, got, tt.want)
			}
			if long := strings.Contains(about, "event"); long != strings.Contains(p.log.String(), "event=not-rewritten") {
				t.Errorf("log:\n%s", p.log.String())
			}
		})
	}
}

// A recipient of ours that control/rewrite sends elsewhere is forwarded; one of another host
// keeps the reverse path. A row is looked up once, and not for what an alias gives.
func TestRewrittenRecipient(t *testing.T) {
	const rewrite = "moved@example.net: x@far.example\nold@far.example: new@far.example\n" +
		"a@example.net: b@example.net\nb@example.net: a@example.net\n"
	for to, want := range map[string][2]string{
		"moved@example.net":   {"SRS0=", "x@far.example"},
		"moved+t@example.net": {"SRS0=", "x+t@far.example"},
		"old@far.example":     {"s@s.example", "new@far.example"},
	} {
		p := newPath(t, "")
		write(t, p.home, "srs-secrets", strings.ReplaceAll(secrets, " ", "-"))
		write(t, p.home, "rewrite", rewrite)
		p.accept("s@s.example", spool.WithLocal, to)
		p.run()
		if got := p.reversePaths(); !strings.HasPrefix(got, want[0]) {
			t.Errorf("%s: %s", to, got)
		}
		p.accept("s@s.example", spool.WithLocal, to)
		p.run()
		var list []string
		p.runner(spool.InboxRelay, func(_ context.Context, e *spool.Entry) spool.Outcome {
			list = append(list, e.Envelope.To[0].Addr)
			return spool.DropBecause("test")
		}).Run(context.Background())
		if len(list) != 1 || list[0] != want[1] {
			t.Errorf("%s went to %v", to, list)
		}
	}
	files := map[string]string{"domains": "example.net\n", "rewrite": rewrite, "aliases": "team: a\n",
		"users": "a@example.net:\nb@example.net:\n"}
	for to, want := range map[string]string{"a@example.net": "local b@example.net", "b@example.net": "local a@example.net",
		"team@example.net": "local a@example.net"} {
		if got := ask(t, files, to); got != want {
			t.Errorf("%s: %s, want %s", to, got, want)
		}
	}
}

// A bounce to such an address goes back to the sender; nothing else does.
func TestBounceOfForwardedMail(t *testing.T) {
	dir, c := home(t, map[string]string{"domains": domains, "users": users, "srs-secrets": strings.ReplaceAll(secrets, " ", "-"),
		"aliases": "@example.net: alice\n"})
	scheme, err := c.SRS()
	if err != nil || scheme == nil {
		t.Fatal(err)
	}
	there, err := scheme.Forward(parseOrBare(t, "s@s.example"), "example.net")
	if err != nil {
		t.Fatal(err)
	}
	folded := strings.ToLower(there.String())
	old := srs.Scheme{Secrets: scheme.Secrets, Now: scheme.Now.AddDate(0, 0, -30)}
	expired, _ := old.Forward(parseOrBare(t, "s@s.example"), "example.net")
	for _, tt := range []struct{ from, to, want string }{
		{"", there.String(), "remote s@s.example"},
		{"", folded, "remote s@s.example"},
		{"x@x.example", there.String(), ""},
		{"", expired.String(), ""},
		{"", "SRS0=abcd=AA=s.example=s@example.net", ""},
		{"", "SRS0=abcd=AA=s.example=s@far.example", "remote SRS0=abcd=AA=s.example=s@far.example"},
		{"", "SRS@example.net", "local alice@example.net"},
	} {
		targets, err := Resolve(c, tt.from, parseOrBare(t, tt.to), nil)
		if got := strings.Join(lines(targets), "; "); tt.want != "" && got != tt.want || tt.want == "" && status.Exit(err) != status.NoMailbox {
			t.Errorf("from <%s> to %s: %s (%v), want %q", tt.from, tt.to, got, err, tt.want)
		}
	}
	write(t, dir, "srs-secrets", "short\n")
	if _, err := Resolve(c, "", there, nil); !status.IsTemporary(err) {
		t.Errorf("without secrets: %v", err)
	}
}

// People are told the reverse path that forwarded mail gets, and what stands in its way.
func TestForwardedIsSaid(t *testing.T) {
	files := map[string]string{"domains": domains, "users": users, "srs-secrets": strings.ReplaceAll(secrets, " ", "-"),
		"aliases": "out: far@far.example, alice\nlist: far@far.example\nowner-list: alice\n"}
	long := strings.Repeat("s", 60) + "@s.example"
	for about, tt := range map[string]struct{ from, to, want, step string }{
		"a stranger's": {"s@s.example", "out@example.com", "relay far@far.example from SRS0=*=s.example=s@example.com (control/aliases:1); deliver alice@example.com *",
			"reverse path s@s.example"},
		"ours":     {"bob@example.com", "out@example.com", "relay far@far.example (control/aliases:1); deliver alice@example.com *", ""},
		"a bounce": {"", "out@example.com", "relay far@far.example (control/aliases:1); deliver alice@example.com *", ""},
		"no alias": {"s@s.example", "far@far.example", "relay far@far.example", ""},
		"a list":   {"s@s.example", "list@example.net", "relay far@far.example from owner-list@example.net (control/aliases:2)", ""},
		"too long": {long, "out@example.com", "relay far@far.example (control/aliases:1); deliver alice@example.com *", "reverse path " + long},
	} {
		_, c := home(t, files)
		var trail explain.Trail
		answer, err := Ask(c, tt.from, tt.to, &trail)
		if got := answer.outcome(); err != nil || !matches(tt.want, got) {
			t.Errorf("%s: %s (%v), want %s", about, got, err, tt.want)
		}
		said := slices.ContainsFunc(trail.Steps, func(s explain.Step) bool { return s.Decision == tt.step })
		if any := slices.ContainsFunc(trail.Steps, func(s explain.Step) bool { return strings.HasPrefix(s.Decision, "reverse path") }); said != any {
			t.Errorf("%s: %+v, want a step %q", about, trail.Steps, tt.step)
		}
	}
	files["srs-secrets"] = "short\n"
	_, c := home(t, files)
	if a, err := Ask(c, "s@s.example", "out@example.net", nil); !status.IsTemporary(err) || !strings.Contains(a.Error, "control/srs-secrets:1") {
		t.Errorf("without secrets: %+v, %v", a, err)
	}
}

// matches reports whether text is pattern, in which * is any text.
func matches(pattern, text string) bool {
	parts := strings.Split(regexp.QuoteMeta(pattern), `\*`)
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + "$").MatchString(text)
}
