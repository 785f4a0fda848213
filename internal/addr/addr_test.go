package addr

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ in, local, domain string }{
		{"bob@example.net", "bob", "example.net"},
		{"Bob+Ext@Example.NET", "Bob+Ext", "Example.NET"},
		{`"bob"@example.net`, "bob", "example.net"},
		{`"a b\"c\\d"@x.y`, `a b"c\d`, "x.y"},
		{`"a@evil.example,"@x.example`, "a@evil.example,", "x.example"},
		{"bob@[192.0.2.1]", "bob", "[192.0.2.1]"},
		{"bob@[IPv6:2001:db8::1]", "bob", "[IPv6:2001:db8::1]"},
		{"jürgen@müller.example", "jürgen", "müller.example"},
		{"a..b.@docomo.example", "a..b.", "docomo.example"},
		{"x@localhost", "x", "localhost"},
	} {
		a, err := Parse(c.in)
		if err != nil || a.Local != c.local || a.Domain != c.domain {
			t.Errorf("%s is %+v, %v", c.in, a, err)
		}
		if again, err := Parse(a.String()); err != nil || again != a {
			t.Errorf("%s is written %s, read as %+v, %v", c.in, a, again, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{"", "bob", "@x", "bob@", "a@b@c", "a b@c", "a@b c", "a@b..c", "a@.b", "a@b.",
		"a@-b", "a@b-", "a\x00@b", "\"a\x00\"@b", "\"a\n\"@b", "a@b\r\n", "a@[1.2.3]", "a@[127.0.0.1", "a@[::1]",
		"a@[IPv6:1.2.3.4]", "a@[IPv6:fe80::1%eth0]", "\"a@b", "<a@b>", "a,b@c", "a@b;c", "a@b/c", "\xff@b", "a@\xff",
		"a\u0085@b", strings.Repeat("a", 251) + "@b", "a@" + strings.Repeat("b", 64), "a@" + strings.Repeat("bb.", 90) + "c",
		"(c)a@b", `"a"b@c`, `a"b"@c`} {
		if a, err := Parse(in); err == nil {
			t.Errorf("%q is %+v", in, a)
		}
	}
}

func TestParsePath(t *testing.T) {
	for _, c := range []struct{ in, want, rest string }{
		{"<a@b> SIZE=1", "a@b", " SIZE=1"},
		{"<>", "", ""},
		{"<postmaster>", "postmaster", ""},
		{"<PostMaster> X", "PostMaster", " X"},
		{"<@one,@two.example:a@b>", "a@b", ""},
		{`<"a> SIZE=1 <x"@d>`, `"a> SIZE=1 <x"@d`, ""},
		{"<postmaster@x>", "postmaster@x", ""},
	} {
		a, rest, err := ParsePath(c.in)
		if err != nil || a.String() != c.want || rest != c.rest {
			t.Errorf("%s is %q, %q, %v", c.in, a, rest, err)
		}
	}
	for _, in := range []string{"", "a@b", "<a@b", "<bob>", "< a@b>", "<a@b >", "<@a a@b>", "<@a:>", "<<a@b>>", "<a@b\x00>", "<postmaste>"} {
		if a, _, err := ParsePath(in); err == nil {
			t.Errorf("%q is %+v", in, a)
		}
	}
}

func TestKeyAndNames(t *testing.T) {
	a, _ := Parse(`"Bob+Sales.EU"@EXAMPLE.net`)
	if a.Key() != "bob+sales.eu@example.net" {
		t.Errorf("key %s", a.Key())
	}
	for _, c := range []struct{ in, delimiters, want string }{
		{`"Bob+Sales.EU"@EXAMPLE.net`, "+", "Bob+Sales.EU@EXAMPLE.net Bob@EXAMPLE.net"},
		{"a+b+c@x", "+", "a+b+c@x a+b@x a@x"}, {"a+b-c@x", "+-", "a+b-c@x a+b@x a@x"}, {"a+b-c@x", "-", "a+b-c@x a+b@x"},
		{"a++b@x", "+", "a++b@x a+@x a@x"}, {"a+@x", "+", "a+@x a@x"}, {"a+b@x", "", "a+b@x"},
		{"bob@x", "+", "bob@x"}, {"+ext@x", "+", "+ext@x"}, {"-a-b@x", "-", "-a-b@x -a@x"},
		{`"alice+ <boss@victim.example>"@x`, "+", `"alice+ <boss@victim.example>"@x`},
		{`"alice+a b"@x`, "+", `"alice+a b"@x`}, {`"alice+a@b"@x`, "+", `"alice+a@b"@x`}, {`"a b+c"@x`, "+", `"a b+c"@x`},
	} {
		a, _ := Parse(c.in)
		if got := strings.Trim(fmt.Sprint(a.Names(c.delimiters)), "[]"); got != c.want {
			t.Errorf("%s has the names %s, want %s", c.in, got, c.want)
		}
	}
	many := Address{Local: "a" + strings.Repeat("-", 100), Domain: "x"}
	if names := many.Names("-"); len(names) != maxNames || names[maxNames-1].Local != "a" || many.User("-").Local != "a" {
		t.Errorf("%v", names)
	}
	u, _ := Parse("Ünal@EXAMPLE.net")
	if u.Key() != "Ünal@example.net" || !u.NeedsUTF8() || a.NeedsUTF8() {
		t.Errorf("key %s: only ASCII is folded", u.Key())
	}
}

func TestParseAuthors(t *testing.T) {
	for in, want := range map[string]string{
		"Alice Q. Public <alice@x>": "alice@x", "alice@x": "alice@x", `"boss@y" <alice@x>`: "alice@x", "(boss@y) alice@x": "alice@x",
		"a@x <A@x>": "A@x", `"a"@x <a@x>, b@y`: "a@x b@y", "": "",
		// As Outlook, PHP and people write it: none of it could be read as another address.
		"'a@x.example' <a@x.example>": "a@x.example", "=?utf-8?Q?a@b.example?= <a@x>": "a@x",
		"John Q. Public, Esq. <j@x>": "j@x", `DOMAIN\user <j@x>`: "j@x", "Foo :) <j@x>": "j@x", "A [b] <j@x>": "j@x",
		"'b@y.example' <a@x.example>": "!", "'a@x.example <a@x.example>": "!", "=?utf-8?Q?,b@y.example,?= <a@x>": "=?utf-8?Q? b@y.example a@x",
		`b@y.example\ <a@x>`: "!", "b@y.example) <a@x>": "!", "b c@y.example, <a@x>": "!", "Tickets @ Work <a@x>": "!",
		"boss@y <alice@x>": "!", "boss@ <alice@x>": "!", "@ <alice@x>": "!", "a@x, boss @ y <alice@x>": "!", "a@x <a@x> b@y": "!", "a@x b@y <b@y>": "!",
	} {
		list, err := ParseAuthors(in)
		var got []string
		for _, a := range list {
			got = append(got, a.String())
		}
		if err != nil {
			got = []string{"!"}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %s, %v, want %s", in, got, err, want)
		}
	}
	// Where only recipients are read it is clear who is meant.
	if list, err := ParseList("boss@y <alice@x>"); err != nil || len(list) != 1 || list[0].String() != "alice@x" {
		t.Errorf("%v, %v", list, err)
	}
}

// Nobody teaches other hosts to quote an @, so only what could be an address is
// refused there.
func TestParseForeign(t *testing.T) {
	for in, ok := range map[string]bool{
		"Tickets @ Work <a@x>": true, "Info@Work Inc. <a@x>": true, "@work <a@x>": true,
		"b@y.example <a@x>": false, "b @ y . example <a@x>": false, "b@[192.0.2.1] <a@x>": false,
		"@ @y.example <a@x>": false, "b@y.example via list <a@x>": false,
	} {
		list, err := ParseForeign(in)
		if (err == nil) != ok || ok && (len(list) != 1 || list[0].String() != "a@x") {
			t.Errorf("%q: %v, %v", in, list, err)
		}
	}
}

func TestParseList(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"a@b", "a@b"},
		{"a@b, c@d", "a@b c@d"},
		{"Bob <a@b>, \"C, D\" <c@d>", "a@b c@d"},
		{"bob", "bob"},
		{"root, postmaster (the (nested) boss)", "root postmaster"},
		{"Team: a@b, Bob <c@d>; e@f", "a@b c@d e@f"},
		{"undisclosed-recipients:;", ""},
		{" a . b @ c . d ", "a.b@c.d"},
		{"a@b,, ,c@d,", "a@b c@d"},
		{"=?utf-8?q?x=40evil=2Eexample?= <a@b>", "a@b"},
		{"J. R. \"Bob\" D. <a@b>", "a@b"},
		{"\"a b\"@c", "\"a b\"@c"},
		{"a@[192.0.2.1]", "a@[192.0.2.1]"},
		{"Jürgen <j@x>", "j@x"},
		{"<a@b> (Bob)", "a@b"},
		{"<a@b> Bob", "a@b"},
		{"a@b; c@d", "a@b c@d"},
		{"root (Cron Daemon)", "root"},
		{"bob@example.net <a@b>", "a@b"},
		{"Gr\xfc\xdfe <a@b>", "a@b"},
		{"", ""},
	} {
		list, err := ParseList(c.in)
		var got []string
		for _, a := range list {
			got = append(got, a.String())
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%q is %q, %v, want %q", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{"a b@c", "<a@b", "a@b>", "<a@b> <c@d>", "a@b (", "\"a@b", "<>", "a@b@c", "<@r:a@b>", "a@b\x00", "a@[b",
		"a@b: c@d;", "<a@b>: c@d;", "<a@b> c@d", "<a@b> \"x\" @c", "a@b \\", "a)b@c"} {
		if list, err := ParseList(in); err == nil {
			t.Errorf("%q is %v", in, list)
		}
	}
	if _, err := ParseList(strings.Repeat("a@b,", maxList+1)); err == nil {
		t.Error("no limit")
	}
	if list, err := ParseList(strings.Repeat("(", 50000) + strings.Repeat(")", 50000) + "a@b"); err != nil || len(list) != 1 {
		t.Errorf("deep comment: %v, %v", list, err)
	}
}

// FuzzParse: what is read is written so that it is read the same again, and
// holds nothing that could break a line or a path.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"bob@example.net", `"a b"@[192.0.2.1]`, "ü@ü", "a..b@c", `"\""@x`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			return
		}
		if again, err := Parse(a.String()); err != nil || again != a {
			t.Fatalf("%q: %+v is written %q, read as %+v, %v", s, a, a, again, err)
		}
		if strings.ContainsAny(a.String(), "\r\n\x00") || strings.ContainsAny(a.Domain, "@/<> ") {
			t.Fatalf("%q is %+v", s, a)
		}
		if p, rest, err := ParsePath("<" + a.String() + "> x"); err != nil || p != a || rest != " x" {
			t.Fatalf("as a path: %+v, %q, %v", p, rest, err)
		}
	})
}

func FuzzParseList(f *testing.F) {
	f.Add("Team: a@b, \"C\" <c@d> (x);")
	f.Fuzz(func(t *testing.T, s string) {
		list, err := ParseList(s)
		if err != nil {
			return
		}
		for _, a := range list {
			if a.Domain == "" {
				continue
			}
			if again, err := Parse(a.String()); err != nil || again != a {
				t.Fatalf("%q holds %+v: %v", s, a, err)
			}
		}
	})
}

// Where addresses are: what is between Start and End is the address, and nothing else.
func TestSpans(t *testing.T) {
	for field, want := range map[string]string{
		"": "", "a@b": "a@b", " root@lap (Cron Daemon)\n": "root@lap", "\"A, B\" <a@b>,\n c@d , x": "a@b|c@d|x",
		"g: a@b, <c@[192.0.2.1]>; d@e": "a@b|c@[192.0.2.1]|d@e", "Jo <\"a b\"@c>": "\"a b\"@c", "a (x) @ (y) b": "a (x) @ (y) b",
		"(a@b) c@d": "c@d",
	} {
		spans, err := Spans(field)
		var got []string
		for _, s := range spans {
			got = append(got, field[s.Start:s.End])
			if again, err := ParseList(field[s.Start:s.End]); err != nil || len(again) != 1 || again[0] != s.Address {
				t.Errorf("%q: %v is not at %d-%d: %v", field, s.Address, s.Start, s.End, err)
			}
		}
		if strings.Join(got, "|") != want || err != nil {
			t.Errorf("%q: %q, %v, want %s", field, got, err, want)
		}
	}
}

// IP finds what netip.ParseAddr finds, and no more.
func TestIP(t *testing.T) {
	for _, s := range []string{"", "192.0.2.1", "192.0.2.", "1", "a1", "::", "::1", "2001:db8::a", "fe80::1%eth0", "::ffff:192.0.2.1",
		"mail.example.org", "mail.example.1", "a:b", "1.2.3.4.5", "999.1.1.1", "1.2.3.4 ", "[::1]", "\xff:1"} {
		want, err := netip.ParseAddr(s)
		if got, ok := IP(s); ok != (err == nil) || got != want {
			t.Errorf("%q: %v, %v, want %v, %v", s, got, ok, want, err)
		}
	}
}
