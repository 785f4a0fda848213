package milters

import "testing"

// spamd's own rules: GTUBE, and nothing that asks the network.
const spamRules = `
required_score 5
report_safe 0
body GTUBE /XJS\*C4JDBQADN1\.NSBN3\*2IDNEN\*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL\*C\.34X/
score GTUBE 1000
body MARKED /spam, but not very much/
score MARKED 7
add_header spam Flag _YESNOCAPS_
add_header all Status "_YESNO_, score=_SCORE_"
`

// spamass-milter asks SpamAssassin's spamd: it refuses beyond a score, and adds or changes
// the fields below it.
func TestSpamassMilter(t *testing.T) {
	d := newDaemon(t, "spamass-milter", "spamd", "spamc", "spamass-milter")
	d.file("rules/own.cf", spamRules, 0o644)
	d.file("rules/own.pre", "loadplugin Mail::SpamAssassin::Plugin::Check\n", 0o644)
	d.file("state/empty", "", 0o644)
	d.run("DIR/spamd.sock", "spamd", "-L", "-x", "-m", "1", "--socketpath=DIR/spamd.sock", "-C", "DIR/rules",
		"--siteconfigpath=DIR/rules", "-H", "DIR/state", "-s", "stderr")
	d.run("DIR/sock", "spamass-milter", "-p", "DIR/sock", "-r", "15", "--", "-U", "DIR/spamd.sock")
	h := d.home(`spam: milter:unix:DIR/sock "junk=X-Spam-Flag: YES"`)

	refused(t, h.smtp(letter(sender, "gtube", rspamdRejects)), "5.7.1")
	for subject, body := range map[string]string{"marked": "spam, but not very much", "clean": "hello"} {
		if err := h.smtp(append([]byte("X-Spam-Flag: NO\n"), letter(sender, subject, body)...)); err != nil {
			t.Error(err)
		}
	}
	has(t, h.mailbox("alice", "marked"), "x-paperpath=junk", "\nReceived: ", "\nX-Spam-Status: Yes, score=7.0", "\nFrom: ")
	clean := h.mailbox("alice", "clean")
	has(t, clean, "\nReceived: ", "\nX-Spam-Status: No, score=0.0", "\nFrom: ")
}
