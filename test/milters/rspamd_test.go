package milters

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paperpath/test/harness"
)

// What rspamd refuses, marks as spam and lets pass, whatever else it thinks (its
// enable_test_patterns).
const (
	rspamdRejects = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
	rspamdMarks   = "YJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
)

// rspamdConf is one proxy worker that scans by itself, without DNS and other modules than
// the one for header fields.
const rspamdConf = `
options {
  pidfile = "DIR/pid"; control_socket = "DIR/control mode=0600"; tempdir = "DIR"; filters = "";
  url_tld = "DIR/tld"; disable_hyperscan = true; enable_test_patterns = true;
  dns { nameserver = ["127.0.0.1:9"]; timeout = 100ms; retransmits = 1; }
}
logging { type = "file"; filename = "DIR/log"; level = "info"; }
lua = "/usr/share/rspamd/rules/rspamd.lua";
metric { name = "default"; actions { reject = 15; add_header = 6; } }
modules { path = "/usr/share/rspamd/plugins/milter_headers.lua"; }
milter_headers { use = ["x-spamd-bar"]; skip_local = false; skip_authenticated = false; }
worker "rspamd_proxy" {
  bind_socket = "ADDR"; milter = yes; timeout = 30s; count = 1; max_retries = 1;
  upstream "local" { default = yes; self_scan = yes; }
}
`

// rspamd refuses GTUBE, marks spam by a field, which makes it junk, and adds its fields to
// the rest: in the session and in check/.
func TestRspamd(t *testing.T) {
	d := newDaemon(t, "_rspamd", "rspamd")
	addr := harness.FreeAddr()
	conf := d.file("rspamd.conf", strings.ReplaceAll(rspamdConf, "ADDR", addr), 0o644)
	d.file("tld", "org\nnet\n", 0o644)
	d.run(addr, "rspamd", "-f", "-c", conf)
	h := d.home("spam: milter:inet:" + addr + ` "junk=X-Spam: Yes"`)
	if err := os.MkdirAll(filepath.Join(h.Mailbox("alice"), ".Junk", "new"), 0o700); err != nil {
		t.Fatal(err)
	}

	refused(t, h.smtp(letter(sender, "gtube", rspamdRejects)), "554 5.7.1 Gtube pattern")
	if err := h.smtp(letter(sender, "marked", rspamdMarks)); err != nil {
		t.Error(err)
	}
	if err := h.smtp(letter(sender, "clean", "hello")); err != nil {
		t.Error(err)
	}
	has(t, h.mailbox("alice", "marked"), "Authentication-Results: mx.example.net;", "x-paperpath=junk", "\nReceived: ", "\nX-Spam: Yes\nFrom: ")
	has(t, h.mailbox("alice", "clean"), "\nReceived: ", "\nX-Spamd-Bar: ", "\nFrom: ")

	h.sendmail("bob@example.net", alice, letter("bob@example.net", "local gtube", rspamdRejects))
	h.bounced("Gtube pattern")
	h.sendmail("bob@example.net", alice, letter("bob@example.net", "local clean", "hello"))
	has(t, h.mailbox("alice", "local clean"), "\nReceived: ", "\nX-Spamd-Bar: ", "\nFrom: ")
}
