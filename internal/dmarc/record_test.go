package dmarc

import (
	"fmt"
	"strings"
	"testing"
)

// wrote is what a record says, as far as it differs from the defaults.
func wrote(r *Record) string {
	s := fmt.Sprintf("p=%s sp=%s np=%s", r.P, r.SP, r.NP)
	for _, x := range []struct {
		is   bool
		text string
	}{
		{r.ADKIM, "adkim=s"}, {r.ASPF, "aspf=s"}, {r.PSD != 'u', "psd=" + string(r.PSD)}, {r.Testing, "t=y"},
		{len(r.RUA) > 0, "rua=" + strings.Join(r.RUA, ",")}, {len(r.RUF) > 0, "ruf=" + strings.Join(r.RUF, ",")},
		{r.FO != "", "fo=" + r.FO}, {len(r.Old) > 0, fmt.Sprintf("old=%v", r.Old)},
		{len(r.Ignored) > 0, fmt.Sprintf("ignored=%q", r.Ignored)}, {r.Defect() != "", "defect"},
	} {
		if x.is {
			s += " " + x.text
		}
	}
	return s
}

func TestParse(t *testing.T) {
	for _, x := range []struct{ text, want string }{
		{"v=DMARC1; p=reject", "p=reject sp= np="},
		{"v=DMARC1;p=reject;", "p=reject sp= np="},
		{"v = DMARC1 ;\tp\t=  Quarantine  ; ", "p=quarantine sp= np="},
		{"V=DMARC1; P=NONE; SP=Reject; aDKIM=S", "p=none sp=reject np= adkim=s"},
		{"v=DMARC1; sp=none; np=reject; p=quarantine", "p=quarantine sp=none np=reject"},
		{"v=DMARC1; p=none; adkim=s; aspf=s; psd=n; t=y", "p=none sp= np= adkim=s aspf=s psd=n t=y"},
		{"v=DMARC1; p=none; adkim=r; aspf=r; psd=u; t=n; fo=1:d:s", "p=none sp= np= fo=1:d:s"},
		{"v=DMARC1; p=none; psd=y; fo=d:0", "p=none sp= np= psd=y fo=d:0"},
		{"v=DMARC1; p=none; fo=0:1", `p=none sp= np= ignored=["fo=0:1"]`},
		{"v=DMARC1; p=none; fo=d:d", `p=none sp= np= ignored=["fo=d:d"]`},
		{"v=DMARC1; p=none; fo=1:", `p=none sp= np= ignored=["fo=1:"]`},
		{"v=DMARC1; p=none; fo=01", `p=none sp= np= ignored=["fo=01"]`},
		{"v=DMARC1; p=none; rua=mailto:a~b@x.example; ruf=mailto:a@\u00fc.example", "p=none sp= np= rua=mailto:a~b@x.example ignored=[\"ruf=mailto:a@\u00fc.example\"]"},
		{"v=DMARC1; p=none; ruf=mailto:a@x.example\x7f", `p=none sp= np= ignored=["ruf=mailto:a@x.example\x7f"]`},
		{"v=DMARC1; p=none; rua=mailto:a@x.example,mailto:b@x.example!10m", "p=none sp= np= rua=mailto:a@x.example,mailto:b@x.example"},
		{"v=DMARC1; p=none; rua=a@x.example; ruf=mailto:", `p=none sp= np= ignored=["rua=a@x.example" "ruf=mailto:"]`},
		{"v=DMARC1; p=none; rua=a@x.example, https://x.example/r", "p=none sp= np= rua=https://x.example/r"},
		{"v=DMARC1; p=reject; pct=50; rf=afrf; ri=3600", "p=reject sp= np= old=[{pct 50} {rf afrf} {ri 3600}]"},
		{"v=DMARC1; p=reject; pct=x", "p=reject sp= np= old=[{pct x}]"},
		{"v=DMARC1; p=reject; adkim=strict; t=1", `p=reject sp= np= ignored=["adkim=strict" "t=1"]`},
		{"v=DMARC1; p=reject; x_9=y; junk; =z; p p=q", `p=reject sp= np= ignored=["x_9=y" "junk" "=z" "p p=q"]`},
		{"v=DMARC1; p=reject; x=\u00fc; y=", "p=reject sp= np= ignored=[\"x=\u00fc\" \"y=\"]"},
		{"v=DMARC1", "p= sp= np= defect"},
		{"v=DMARC1; p=", `p= sp= np= ignored=["p="] defect`},
		{"v=DMARC1; p=reject sp=none", `p= sp= np= ignored=["p=reject sp=none"] defect`},
		{"v=DMARC1; p=reject; sp=x", `p=reject sp= np= ignored=["sp=x"] defect`},
		{"v=DMARC1; p=reject; np=x", `p=reject sp= np= ignored=["np=x"] defect`},
		{"v=DMARC1; p=reject,", `p= sp= np= ignored=["p=reject,"] defect`},
		{"v=DMARC1; p=reject; p=none", "p= is there twice"},
		{"v=DMARC1; p=reject; X=1; x=2", "x= is there twice"},
		{"v=DMARC1; p=reject; v=DMARC1", "v= is there twice"},
		{"v=DMARC1; " + strings.Repeat("x", maxRecord), "the record has more than 16384 octets"},
		{"v=DMARC1; " + many(99), "p= sp= np= ignored=" + fmt.Sprintf("%q", strings.Split(many(99), ";")) + " defect"},
		{"v=DMARC1; " + many(100), "more than 100 tags"},
	} {
		r, err := Parse(x.text)
		got := fmt.Sprint(err)
		if err == nil {
			got = wrote(r)
		}
		if got != x.want {
			t.Errorf("%.80q is %s, want %s", x.text, got, x.want)
		}
	}
	for _, text := range []string{"", "v=DMARC", "v=dmarc1; p=none", " v=DMARC1; p=none", "p=none; v=DMARC1", "v=DMARC1 p=reject",
		"v=DMARC12; p=none", "\"v=DMARC1; p=none\"", "v DMARC1; p=none", "w=DMARC1", "v=DMARC1\n; p=none", "=DMARC1"} {
		if r, err := Parse(text); err == nil {
			t.Errorf("%q is a record: %s", text, wrote(r))
		}
	}
}

func many(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("x%d=1", i))
	}
	return strings.Join(list, ";")
}

// FuzzParse: a record says nothing that is not written in it, and reads the same again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"v=DMARC1; p=reject; sp=none; np=none; t=y; psd=n; adkim=s; aspf=s; fo=1:d; pct=9",
		"v=DMARC1;p=none;rua=mailto:a@x.example!10m,https://y.example/;ruf=mailto:b@x.example", "v = DMARC1 ;; x=1", "v=DMARC1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(text)
		if (r == nil) == (err == nil) {
			t.Fatalf("%v and %v", r, err)
		}
		if err != nil {
			return
		}
		lower := strings.ToLower(text)
		for _, p := range []Policy{r.P, r.SP, r.NP} {
			if p != "" && (p.rank() == 0 || !strings.Contains(lower, string(p))) {
				t.Fatalf("policy %q in %q", p, text)
			}
		}
		if asked, _ := r.asks(true, false); asked.rank() == 0 {
			t.Fatalf("%q asks for %q", text, asked)
		}
		for _, uri := range append(r.RUA, r.RUF...) {
			if !strings.Contains(text, uri) || strings.ContainsAny(uri, ",;! ") {
				t.Fatalf("address %q in %q", uri, text)
			}
		}
		clean := fmt.Sprintf("v=DMARC1; p=%s; psd=%c", r.P, r.PSD)
		if again, err := Parse(clean); err != nil || again.P != r.P || again.PSD != r.PSD {
			t.Fatalf("%q: %v", clean, err)
		}
	})
}
