package peers

import (
	"os"
	"strings"
	"testing"
	"time"

	"paperpath/test/harness"
)

// Postfix delivers by LMTP to the role lmtp: each recipient has a reply of its own, and
// a refused recipient does not affect the others.
func TestPostfixByLMTP(t *testing.T) {
	unpacked(t, "postfix")
	h := newHome(t)
	set(t, h, "domains", harness.Domain, "lmtp.example")
	addUsers(t, h, "one@lmtp.example", "two@lmtp.example")
	if err := h.AddLMTP(); err != nil {
		t.Fatal(err)
	}
	start(t, h)
	p := postfix(t, h, "127.0.0.1:9")
	message := letter("by lmtp", "\n.\nGrüße\n")
	inject(t, p.addr, []string{"one@lmtp.example", "nobody@lmtp.example", "two@lmtp.example"}, message)
	for _, user := range []string{"one", "two"} {
		inbox := "mail/lmtp.example/" + user + "/Maildir/new/*"
		if err := harness.Wait("mail for "+user, time.Minute, func() bool { return len(h.Glob(inbox)) > 0 }); err != nil {
			t.Fatal(err, h.Describe())
		}
		data, err := os.ReadFile(h.Glob(inbox)[0])
		if err != nil || !strings.Contains(string(data), "\n with LMTPS id ") {
			t.Errorf("%v, not by LMTP and TLS: %s", err, data)
		}
		sameBytes(t, user, relayed(data), message)
	}
	if !strings.Contains(p.log(), "to=<nobody@lmtp.example>") || !strings.Contains(p.log(), "said: 550 5.1.1") {
		t.Error("nobody@lmtp.example was not refused:", p.describe())
	}
}
