package authres

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"paperpath/internal/visible"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		value string
		want  Field
		wrong bool
	}{
		{value: "mx.example.net; none", want: Field{Host: "mx.example.net"}},
		{value: " (x) mx.example.net 1 ; none (y)", want: Field{Host: "mx.example.net"}},
		{value: `"mx.example.net";spf=pass smtp.mailfrom=a=b@example.org`, want: Field{Host: "mx.example.net",
			Methods: []Method{{Name: "spf", Result: "pass", Properties: []Property{{"smtp.mailfrom", "a=b@example.org"}}}}}},
		{value: "mx;\n DKIM / 1 = (a) Fail (why \\) (so)) reason = \"a;\\\"b\" header . D=example.org (x)\n header.b=\"ab/+\"; x-paperpath=junk reason=dmarc",
			want: Field{Host: "mx", Methods: []Method{{Name: "dkim", Result: "fail", Comment: "why \\) (so)", Reason: `a;"b`,
				Properties: []Property{{"header.d", "example.org"}, {"header.b", "ab/+"}}},
				{Name: "x-paperpath", Result: "junk", Reason: "dmarc"}}}},
		{value: "mx; spf=pass reason.code=5", want: Field{Host: "mx",
			Methods: []Method{{Name: "spf", Result: "pass", Properties: []Property{{"reason.code", "5"}}}}}},
		{value: "mx; spf=pass smtp=x", wrong: true},
		{value: "", wrong: true},
		{value: "mx; spf", wrong: true},
		{value: "mx; spf=", wrong: true},
		{value: "mx; =pass", wrong: true},
		{value: "mx; none; spf=pass", wrong: true},
		{value: "mx spf=pass", wrong: true},
		{value: `mx; spf=pass smtp.mailfrom="a`, wrong: true},
		{value: "mx; spf=pass (a", wrong: true},
		{value: "mx; spf=pass smtp", wrong: true},
		{value: "mx; spf=pass smtp.a", wrong: true},
		{value: "mx; spf=pass;", wrong: true},
		{value: "mx; spf=pass" + strings.Repeat("; spf=pass", maxMethods), wrong: true},
		{value: "mx; spf=pass" + strings.Repeat(" smtp.a=b", maxProperties+1), wrong: true},
	} {
		got, err := Parse(c.value)
		if diff := cmp.Diff(c.want, got); diff != "" || (err != nil) != c.wrong {
			t.Errorf("%q: %v\n%s", c.value, err, diff)
		}
	}
}

func TestRead(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"only others", "X-Spam: yes\nReceived-SPF: pass\n spf=pass\n", ""},
		{"one", "Received-SPF: pass\nAuthentication-Results: mx;\n\tspf=pass;\n x-paperpath=junk reason=spf\n", "mx spf junk spf"},
		{"the first", "Authentication-Results: mx; dkim=pass\nAuthentication-Results: mx; spf=pass\n", "mx dkim"},
		{"not at its start", "X-Y: z\n Authentication-Results: mx; dkim=pass\n", ""},
	} {
		f, err := Read(strings.NewReader(c.text))
		words := []string{f.Host}
		for _, m := range []string{"spf", "dkim"} {
			if f.Pass(m) {
				words = append(words, m)
			}
		}
		if why, junk := f.Junk(); junk {
			words = append(words, "junk", why)
		}
		if got := strings.Join(words, " "); err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

func drawText(t *rapid.T, name string) string {
	return rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{0,40}`), rapid.SampledFrom([]string{"",
		"a@example.org", `x" ; dkim=pass (`, "\\", "a=b@example.org", strings.Repeat("x", 5000)})).Draw(t, name)
}

func drawMethods(t *rapid.T) []Method {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Method {
		m := Method{Name: rapid.SampledFrom([]string{"spf", "dkim", "dmarc", "iprev", "x-paperpath"}).Draw(t, "method"),
			Result:  rapid.SampledFrom([]string{"pass", "fail", "none", "temperror", "junk"}).Draw(t, "result"),
			Reason:  drawText(t, "reason"),
			Comment: drawText(t, "comment")}
		for _, name := range []string{"smtp.mailfrom", "header.d", "header.b", "policy.iprev"} {
			m.Properties = append(m.Properties, Property{name, drawText(t, name)})
		}
		m.Properties = append(m.Properties, Mailbox("header.i", drawText(t, "identity")))
		return m
	}), 0, 12).Draw(t, "methods")
}

// Whatever the checks found is read back as it was written, on short lines of our own.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		methods := drawMethods(t)
		text := Format("mx.example.net", methods)
		shape(t, text)
		got, err := Read(strings.NewReader(text))
		if err != nil || got.Host != "mx.example.net" {
			t.Fatalf("%v, host %q in\n%s", err, got.Host, text)
		}
		if diff := cmp.Diff(written(methods), bare(got.Methods)); diff != "" {
			t.Fatalf("%s\n%s", diff, text)
		}
	})
}

// shape holds what every field that we write is like.
func shape(t interface{ Fatalf(string, ...any) }, text string) {
	for i, line := range strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n") {
		line = strings.TrimSuffix(line, "\n")
		if strings.IndexFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 || strings.Trim(line, " ") == "" ||
			i > 0 && line[0] != ' ' || len(line) > maxLine && strings.Count(line, " ") < 1 || len(line) > 2000 {
			t.Fatalf("line %q in\n%s", line, text)
		}
	}
}

// written is what Format keeps of methods.
func written(methods []Method) (list []Method) {
	for _, m := range methods {
		var properties []Property
		for _, p := range m.Properties {
			if p.Value != "" && len(p.Value) <= maxValue {
				properties = append(properties, Property{p.Name, visible.ASCII(p.Value)})
			}
		}
		list = append(list, Method{Name: m.Name, Result: m.Result, Reason: visible.ASCII(visible.Shorten(m.Reason, maxComment)), Properties: properties})
	}
	return list
}

// bare is methods without comments, which are for people.
func bare(methods []Method) (list []Method) {
	for _, m := range methods {
		m.Comment = ""
		list = append(list, m)
	}
	return list
}

// FuzzParse: any value is read or refused, and what was read is written and read again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"mx; none", "mx 1; spf=pass (a) reason=\"b\" smtp.mailfrom=a@b", "mx; dkim/1=fail header.b=\"/\";x=y", "(", "\"", "mx;;="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		field, err := Parse(s)
		if err != nil {
			if len(field.Methods) > 0 || field.Host != "" {
				t.Fatalf("%q: %+v with %v", s, field, err)
			}
			return
		}
		text := Format("mx", field.Methods)
		shape(t, text)
		again, err := Read(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%q became %q: %v", s, text, err)
		}
		if diff := cmp.Diff(written(field.Methods), bare(again.Methods)); diff != "" {
			t.Fatalf("%q became %q: %s", s, text, diff)
		}
	})
}
