package mailctl

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/route"
	"paperpath/internal/status"
)

// writeControl writes control files of a home, by name.
func writeControl(t *testing.T, home string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(home, "control", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func check(t *testing.T, home string, asJSON bool) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Check{Home: home, Control: control.Open(home, time.Now), Now: time.Now(), Out: &out, JSON: asJSON}.Run()
	return out.String(), err
}

// A limit for refusal that is not above the one for tags leaves nothing to be tagged.
func TestCheckOfLimitsOfLists(t *testing.T) {
	home := newHome(t)
	for row, want := range map[string]string{
		"dnsbl: answer tag=5 refuse=3":     "refuse=3 is not above tag=5",
		"dnsbl: answer refuse=1":           "refuse=1 is not above tag=1",
		"dnsbl: answer tag=3 refuse=5":     "",
		"dnsbl: answer tag=never refuse=5": "",
		"dnsbl: refuse tag=3 refuse=3":     "",
		"dnsbl: answer tag=5":              "",
	} {
		writeControl(t, home, map[string]string{"checks": row + "\n"})
		out, err := check(t, home, false)
		at := "warning: control/checks:1: dnsbl: "
		if err != nil || strings.Contains(out, at) != (want != "") || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", row, err, out)
		}
	}
}

func TestCheck(t *testing.T) {
	home := newHome(t)
	writeControl(t, home, map[string]string{"services": "paperpath-absent watch\n"})
	out, err := check(t, home, false)
	if err != nil {
		t.Error(err)
	}
	for _, line := range []string{"warning: control/services:1: paperpath-absent is neither next to mailctl nor in PATH (mailctl start refuses to start without it)",
		"hostname: mx.example.org (control/hostname:1)", "databytes: 26214400 (default)", "limits hops: 100 (default)",
		"domains: b.example (control/domains:2)"} {
		if !strings.Contains("\n"+out, "\n"+line+"\n") {
			t.Errorf("%q is missing in %s", line, out)
		}
	}
	if !strings.Contains(out, "\ntls mx.example.org: mx.example.org ") || strings.Contains(out, "error: ") {
		t.Errorf("a new home: %s", out)
	}

	writeControl(t, home, map[string]string{"databyte": "1\n", "limits": "hops: x\n"})
	out, err = check(t, home, false)
	if status.Exit(err) != status.Refused || !strings.HasPrefix(err.Error(), "2 errors in ") {
		t.Error(err)
	}
	if want := "error: control/databyte: unknown setting (did you mean databytes?)\nerror: control/limits:1: hops: \"x\" is not a whole number"; !strings.HasPrefix(out, want) {
		t.Error(out)
	}
}

func TestCheckJSON(t *testing.T) {
	home := newHome(t)
	writeControl(t, home, map[string]string{"databyte": "1\n"})
	out, err := check(t, home, true)
	if status.Exit(err) != status.Refused {
		t.Error(err)
	}
	found := map[string]checkedRow{}
	for line := range strings.Lines(out) {
		var row checkedRow
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		found[row.Kind+" "+row.Name+row.File+" "+row.Key] = row
	}
	for key, want := range map[string]checkedRow{
		"error control/databyte ": {Kind: "error", File: "control/databyte", What: "unknown setting", Mend: "did you mean databytes?"},
		"setting limits hops":     {Kind: "setting", Name: "limits", Key: "hops", Value: "100", From: "default", About: "what is too much"},
	} {
		if found[key] != want {
			t.Errorf("%q is %+v", key, found[key])
		}
	}
}

func TestCheckWithoutHome(t *testing.T) {
	if out, err := check(t, t.TempDir(), false); status.Exit(err) != status.TempFail || out != "" {
		t.Errorf("%q, %v", out, err)
	}
}

// If start itself needs a setting that is wrong, it ends with 65 before anything is
// started; it prints every other finding and continues.
func TestStartChecks(t *testing.T) {
	for name, text := range map[string]string{"services": "x-ready 'a\n", "hostname": "a b\n", "domains": "a b\n"} {
		s := newStage(t, "x-ready")
		writeControl(t, s.home.Dir, map[string]string{name: text})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		err := Start(ctx, s.home)
		cancel()
		if status.Exit(err) != status.Refused || !strings.Contains(err.Error(), "control/"+name) || s.log() != "" {
			t.Errorf("%s: %v, log %q", name, err, s.log())
		}
		if got := s.read(s.stderr.Name()); !strings.HasPrefix(got, "error: control/"+name+":1: ") {
			t.Errorf("%s: printed %q", name, got)
		}
	}
	s := newStage(t, "x-ready")
	writeControl(t, s.home.Dir, map[string]string{"databytes": "x\n", "hostname": "mx\n", "retrry": ""})
	stop := s.start()
	s.wait("ready", s.isReady)
	if err := stop(); err != nil {
		t.Error(err)
	}
	var got []string
	for line := range strings.Lines(s.read(s.stderr.Name())) {
		got = append(got, strings.Join(strings.Split(line, ":")[:2], ":"))
	}
	if want := "error: control/retrry|error: control/databytes|warning: control/hostname"; strings.Join(got, "|") != want {
		t.Errorf("printed %q", got)
	}
}

func TestInitChecks(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	var notes bytes.Buffer
	initAgain := func() {
		t.Helper()
		notes.Reset()
		if err := (Init{Dir: home, Owner: ours(), Hostname: "0123456789ab", Now: time.Now(), Notes: &notes}).Run(); err != nil {
			t.Fatal(err)
		}
	}
	initAgain()
	if !strings.Contains(notes.String(), "warning: control/hostname:1: \"0123456789ab\" looks like the id of a container") {
		t.Error(notes.String())
	}
	writeControl(t, home, map[string]string{"hostname": "mx.example.org\n", "retrry": ""})
	initAgain()
	if !strings.Contains(notes.String(), "error: control/retrry: unknown setting (did you mean retry?)\n") ||
		strings.Contains(notes.String(), "warning") {
		t.Error(notes.String())
	}
}

// An alias whose target is neither a user nor an alias is reported, and no other.
func TestUnknownTargets(t *testing.T) {
	const users = "alice@example.org:*\nbob@b.example:*\n"
	for _, tt := range []struct {
		why, users, aliases string
		want                string
	}{
		{"a user, an extension, another host", users, "a: alice\nb: alice+x@example.org, x@far.example\n", ""},
		{"nobody", users, "# x\na@example.org: alice, carol\n", `aliases:2: carol@example.org, a target of alias "a@example.org", is unknown`},
		{"nobody in any domain", users, "a: carol\n", `aliases:1: carol@example.org, a target of alias "a", is unknown`},
		{"a user of another local domain", users, "a: bob\n", ""},
		{"a user of another domain, written out", users, "a: bob@example.org\n", `aliases:1: bob@example.org, a target of alias "a", is unknown`},
		{"an alias, an extension of one", users, "a: b\nb: alice\nc: b+x\n", ""},
		{"an alias that leads nowhere is named once", users, "a: b\nb: carol\n", `aliases:2: carol@example.org, a target of alias "b", is unknown`},
		{"itself, and there is a mailbox", users, "alice: alice, bob@b.example\n", ""},
		{"itself, and there is none", users, "a: a, alice\n", `aliases:1: a@example.org, a target of alias "a", is unknown`},
		{"a mailbox and no alias", users, "carol: alice\na: \\carol\n", `aliases:2: carol@example.org, a target of alias "a", is unknown`},
		{"names that each domain has", users, "a: postmaster, root\n", ""},
		{"no user at all", "", "a: postmaster\n", ""},
		{"users in a program", "once:/bin/false\n", "a: carol\n", ""},
		{"it can never match", users, "*: carol\nx@far.example: carol\n", ""},
		{"a broken row may have it", users + "carol@example.org:{\n", "a@example.org: carol\n", ""},
	} {
		home := newHome(t)
		writeControl(t, home, map[string]string{"users": tt.users, "aliases": tt.aliases, "domains": "example.org\nb.example\n"})
		past := time.Now().Add(-time.Minute)
		for _, name := range []string{"users", "aliases", "domains"} {
			os.Chtimes(filepath.Join(home, "control", name), past, past)
		}
		var got []string
		for _, f := range examine(home, control.Open(home, time.Now), time.Now()).Findings {
			if f.Warning && strings.Contains(f.What, "unknown") {
				got = append(got, fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.What))
			}
		}
		if strings.Join(got, "\n") != tt.want {
			t.Errorf("%s: %q, want %q", tt.why, got, tt.want)
		}
	}
	if got := route.UnknownTargets(manyUnknown(t), nil); len(got) != route.MaxAlike+1 || got[route.MaxAlike].What != "10 more unknown targets" {
		t.Errorf("%d findings", len(got))
	}
}

// So is a member of a list, with its line there, and once for all aliases that have the list.
func TestUnknownMembers(t *testing.T) {
	dir := t.TempDir()
	past := time.Now().Add(-time.Minute)
	for name, text := range map[string]string{
		"l": "alice, carol\nbob\n\\dora@b.example\nx@far.example\nteam\n:include:DIR/m\nalice+x\n", "m": "# x\nEve <eve@example.org>\n",
		"known": "alice\nbob\nalice@example.org\npostmaster\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(path, past, past)
	}
	for _, tt := range []struct{ aliases, want string }{
		{"a: :include:DIR/known\n", ""},
		{"a@example.org: :include:DIR/l, fred\nteam: alice, gina\n", `aliases:1: carol@example.org in DIR/l:1, a list of alias "a@example.org", is unknown
aliases:1: bob@example.org in DIR/l:2, a list of alias "a@example.org", is unknown
aliases:1: dora@b.example in DIR/l:3, a list of alias "a@example.org", is unknown
aliases:1: eve@example.org in DIR/m:2, a list of alias "a@example.org", is unknown
aliases:1: fred@example.org, a target of alias "a@example.org", is unknown
aliases:2: gina@example.org, a target of alias "team", is unknown`},
		{"team: alice\na: :include:DIR/l\nb: :include:DIR/l\nc: a\n", `aliases:2: carol@example.org in DIR/l:1, a list of alias "a", is unknown
aliases:2: dora@b.example in DIR/l:3, a list of alias "a", is unknown
aliases:2: eve@example.org in DIR/m:2, a list of alias "a", is unknown`},
	} {
		home := newHome(t)
		writeControl(t, home, map[string]string{"users": "alice@example.org:*\nbob@b.example:*\n",
			"aliases": strings.ReplaceAll(tt.aliases, "DIR", dir), "domains": "example.org\nb.example\n"})
		var got []string
		for _, f := range route.UnknownTargets(control.Open(home, time.Now), nil) {
			got = append(got, fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.What))
		}
		if is, want := strings.Join(got, "\n"), strings.ReplaceAll(tt.want, "DIR", dir); is != want {
			t.Errorf("%s\n is %s\nwant %s", tt.aliases, is, want)
		}
	}
}

func manyUnknown(t *testing.T) *control.Control {
	home := newHome(t)
	aliases := ""
	for i := range route.MaxAlike + 10 {
		aliases += fmt.Sprintf("a%d: b%d\n", i, i)
	}
	writeControl(t, home, map[string]string{"aliases": aliases, "domains": "example.org\n"})
	return control.Open(home, time.Now)
}
