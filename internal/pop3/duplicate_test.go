package pop3

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paperpath/internal/maillog"
)

// converse plays a session and returns what the server sent.
func (h *host) converse(lines ...string) []string {
	h.t.Helper()
	c, done := h.start(context.Background())
	if _, err := c.Write([]byte(strings.Join(append(lines, "QUIT"), "\r\n") + "\r\n")); err != nil {
		h.t.Fatal(err)
	}
	said := c.rest()
	<-done
	return said
}

// texts maps unique ids to messages, in a session of that login.
func (h *host) texts(login string) map[string]string {
	h.t.Helper()
	said := h.converse("USER "+login, "PASS secret", "UIDL")
	all := map[string]string{}
	at := slices.Index(said, "+OK unique ids follow")
	if at < 0 {
		h.t.Fatalf("%q", said)
	}
	for _, line := range said[at+1 : slices.Index(said, ".")] {
		n, id, _ := strings.Cut(line, " ")
		said := h.converse("USER "+login, "PASS secret", "RETR "+n)
		end := slices.Index(said, ".")
		if end < 1 {
			h.t.Fatalf("RETR %s: %q", n, said)
		}
		if all[id] != "" {
			h.t.Errorf("two messages have the id %s", id)
		}
		all[id] = said[end-1]
	}
	return all
}

// A message keeps its unique id, whatever arrives, leaves or is flagged, and whichever
// kind of session looks first (RFC 1939 7).
func TestIdsHoldForLifeInSpiteOfOneKey(t *testing.T) {
	const key = "1764000000.M000001R0123456789abcdef.mx"
	for _, first := range []string{"alice", "alice@example.net!"} {
		h := newHost(t, nil)
		var events bytes.Buffer
		h.cfg.Log = maillog.To(&events, "pop3d", time.Now)
		h.do("mail new/" + key + ",S=2,W=3 a\\n")
		if got := h.texts(first); !maps.Equal(got, map[string]string{key: "a"}) {
			t.Fatalf("%v", got)
		}
		h.do("mail new/" + key + ",S=3,W=4 bb\\n")
		two := h.texts(first)
		if len(two) != 2 || two[key] != "a" {
			t.Fatalf("%s: the first message has lost its id: %v", first, two)
		}
		if got := h.texts("alice"); !maps.Equal(got, two) {
			t.Errorf("%s: %v, then %v", first, two, got)
		}
		if n := strings.Count(events.String(), "event=rekeyed key="+key); n != 1 {
			t.Errorf("%s: %d events\n%s", first, n, &events)
		}
		for _, name := range h.names() { // the first one is removed; the other keeps its id
			if strings.Contains(name, key) {
				h.do("remove " + name)
			}
		}
		delete(two, key)
		if got := h.texts("alice"); !maps.Equal(got, two) {
			t.Errorf("%s: left %v, want %v", first, got, two)
		}
	}
}

// On a read-only disk the ids differ too, and stay.
func TestIdsOfOneKeyWhereNothingIsWritten(t *testing.T) {
	if !asAnybody(t) {
		return
	}
	h := newHost(t, []string{"mail cur/1.k.mx,S=2:2, a\\n", "mail cur/1.k.mx,S=3:2, bb\\n", "mail cur/1.k.mx,S=2:2,F a\\n"})
	if err := os.Chmod(filepath.Join(h.mailbox(), "cur"), 0o500); err != nil {
		t.Fatal(err)
	}
	var events bytes.Buffer
	h.cfg.Log = maillog.To(&events, "pop3d", time.Now)
	first := h.texts("alice")
	if len(first) != 2 || first["1.k.mx"] != "a" || len(h.names()) != 3 {
		t.Fatalf("%v of %q", first, h.names())
	}
	if got := h.texts("alice"); !maps.Equal(got, first) {
		t.Errorf("%v, then %v", first, got)
	}
	if strings.Contains(events.String(), "event=repeated") || strings.Contains(events.String(), "event=rekeyed") {
		t.Errorf("events of what was not done:\n%s", &events)
	}
	os.Chmod(filepath.Join(h.mailbox(), "cur"), 0o700)
	if got := h.texts("alice"); !maps.Equal(got, first) {
		t.Errorf("%v, and where it may be written %v", first, got)
	}
}

// Of two files with the same bytes one is removed: it does not come back when the other
// is deleted.
func TestRepeatOfOneKeyGoes(t *testing.T) {
	h := newHost(t, []string{"mail cur/1.k.mx,S=2:2,S a\\n", "mail new/1.k.mx,S=2,W=3 a\\n"})
	if said := h.converse("USER alice", "PASS secret", "DELE 1"); said[2] != "+OK 1 messages" {
		t.Errorf("%q", said)
	}
	if left := h.names(); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// A mailbox or folder without its empty directories is served. A session that may
// write creates them; a read-only one does not.
func TestMissingDirectories(t *testing.T) {
	for _, folder := range []string{"", ".Trash/", ".a.b/"} {
		login := "alice"
		if folder != "" {
			login += "@example.net+" + strings.Trim(folder, "./")
		}
		for _, gone := range []string{"tmp", "new", "tmp new", "cur tmp"} {
			h := newHost(t, nil)
			root := filepath.Join(h.mailbox(), folder)
			if err := makeMaildir(root); err != nil {
				t.Fatal(err)
			}
			in := "cur/1.k.mx,S=2,W=3:2,S"
			if strings.Contains(gone, "cur") {
				in = "new/1.k.mx,S=2,W=3"
			}
			h.do("mail " + folder + in + " a\\n")
			for _, sub := range strings.Fields(gone) {
				if err := os.Remove(filepath.Join(root, sub)); err != nil {
					t.Fatal(err)
				}
			}
			if folder == "" {
				login = "alice@example.net"
			}
			for _, as := range []string{login + "!", login} {
				if got := h.texts(as); !maps.Equal(got, map[string]string{"1.k.mx": "a"}) {
					t.Errorf("%s%s is missing: %s has %v", folder, gone, as, got)
				}
				_, err := os.Stat(filepath.Join(root, strings.Fields(gone)[0]))
				if (err == nil) != (as == login) {
					t.Errorf("%s%s: after a session of %s: %v", folder, gone, as, err)
				}
			}
		}
	}
}

// A size in a name that cannot be the file's is not given to clients.
func TestImpossibleSizeIsMeasured(t *testing.T) {
	for _, name := range []string{"S=24,W=7", "S=24,W=49", "W=7", "W=26", "S=0,W=0", "S=24,W=26,W=27", "S=24,S=23,W=26",
		"S=4611686018427387903,W=4611686018427387903"} {
		h := newHost(t, []string{"mail cur/1.k.mx," + name + ":2,S 12345678901\\n12345678901\\n"})
		said := h.converse("USER alice", "PASS secret", "LIST", "RETR 1")
		at := slices.Index(said, "1 26")
		if at < 0 || !slices.Contains(said[at:], "+OK 26 octets") {
			t.Errorf("%s: %q", name, said)
		}
		want := "S=24,W=26"
		if name == "S=0,W=0" {
			want = name // whoever wrote an S= that is not the file's may mean something by it
		}
		got := h.names()
		attrs := strings.Split(strings.TrimSuffix(got[0], ":2,S"), ",")[1:]
		slices.Sort(attrs)
		if len(got) != 1 || strings.Join(attrs, ",") != want {
			t.Errorf("%s: the name is %q", name, got)
		}
	}
}
