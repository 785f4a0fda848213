package explain

import (
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	var t1 Trail
	t1.Add("domain", "local", "control/domains:1")
	t1.Add("user", "bob", "")
	t1.End("deliver")
	var out strings.Builder
	if err := t1.Write(&out, false); err != nil {
		t.Fatal(err)
	}
	if want := "domain: local (control/domains:1)\nuser: bob\n=> deliver\n"; out.String() != want {
		t.Errorf("text is %q", out.String())
	}
	out.Reset()
	if err := t1.Write(&out, true); err != nil {
		t.Fatal(err)
	}
	want := `{"steps":[{"decision":"domain","value":"local","source":"control/domains:1"},{"decision":"user","value":"bob"}],"outcome":"deliver"}` + "\n"
	if out.String() != want {
		t.Errorf("JSON is %q", out.String())
	}
	out.Reset()
	if err := (&Trail{Outcome: "none"}).Write(&out, true); err != nil || out.String() != `{"steps":[],"outcome":"none"}`+"\n" {
		t.Errorf("without steps: %q, %v", out.String(), err)
	}
	var none *Trail
	none.Add("a", "b", "c") // the working path records nothing
	none.End("x")
}
