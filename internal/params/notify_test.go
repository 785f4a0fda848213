package params

import (
	"strings"
	"testing"
)

// NOTIFY is NEVER or a list without repeats; what is neither counts as none.
func TestNotify(t *testing.T) {
	for in, want := range map[string]string{
		"NEVER": "NEVER", "never": "NEVER", "FAILURE": "FAILURE", "delay,Success": "DELAY SUCCESS",
		"SUCCESS,FAILURE,DELAY": "SUCCESS FAILURE DELAY",
		"":                      "", ",": "", "NEVER,NEVER": "", "NEVER,DELAY": "", "DELAY,NEVER": "", "DELAY,": "", "DELAY,DELAY": "",
		"delay,DELAY": "", "SUCCESS;DELAY": "", "SOMETIMES": "", "DELAY ": "DELAY",
	} {
		if got := strings.Join(Notify("ORCPT=rfc822;a@b.example notify="+in), " "); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if list := Notify("ORCPT=rfc822;a@b.example"); list != nil {
		t.Errorf("without NOTIFY: %q", list)
	}
	if _, err := ParseNotify("DELAY,delay"); err == nil || err.Error() != "duplicate NOTIFY keyword" {
		t.Error(err)
	}
}
