package spool

import (
	"os"
	"path"
	"strings"
	"testing"
	"time"
)

// The states of spool(5) are the directories in which the code looks for them.
func TestStatesOfTheManualPage(t *testing.T) {
	page, err := os.ReadFile("../../man/spool.5")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n.Ss States\n")
	table, _, _ = strings.Cut(table, "\n.El\n")
	where := map[string]string{}
	for line := range strings.Lines(table) {
		if w := strings.Fields(line); len(w) > 4 && w[0] == ".It" && w[2] == "Ta" && w[3] == "Pa" {
			where[w[1]] = path.Dir(w[4])
		}
	}
	want := map[string]string{"DRAFT": "tmp", "COMPLETE": "tmp", "NEW": string(stateNew), "DEFERRED": string(stateDeferred),
		"HELD": path.Join(string(InboxHold), string(stateNew)), "DELIVERED": "Maildir/new"}
	if len(where) != len(want) {
		t.Errorf("the page has the states %v", where)
	}
	for name, dir := range want {
		if where[name] != dir {
			t.Errorf("%s is in %q, in the code in %q", name, where[name], dir)
		}
	}
}

// The first line of our Received has the version and cipher of TLS; nothing that is not
// made of harmless octets gets there.
func TestReceivedTellsTLS(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]string{
		"TLS1.3 TLS_AES_128_GCM_SHA256": "Received: by mx.example.net (TLS1.3 TLS_AES_128_GCM_SHA256)\n with ESMTPS id K; Mon, 23 Nov 2026 12:00:00 +0000\n",
		"":                              "Received: by mx.example.net\n with ESMTPS id K; Mon, 23 Nov 2026 12:00:00 +0000\n",
		"TLS1.3 x)\n y":                 "Received: by mx.example.net (TLS1.3 unknown)\n with ESMTPS id K; Mon, 23 Nov 2026 12:00:00 +0000\n",
	} {
		if got := formatReceived(Trace{By: "mx.example.net", With: "ESMTPS", TLS: in}, "K", at); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
