package control

import (
	"strings"
	"testing"

	"paperpath/internal/status"
)

func TestHoldRules(t *testing.T) {
	f := newFixture(t, map[string]string{"holdrules": strings.Join([]string{"# what we look at",
		"from=eve@x.example: Eve: again", "from=@Spam.example larger=1000: large", "to=@.sub.example:",
		"to=boss*@example.net from=*@*.test: to the boss", "from=<> larger=5000: large report", "larger=100000: very large", ""}, "\n")})
	for _, x := range []struct {
		mail NewMail
		want string
	}{
		{NewMail{From: "Eve@X.example", To: []string{"a@b"}}, "control/holdrules:2"},
		{NewMail{From: "eve@y.x.example"}, ""},
		{NewMail{From: "a@spam.example", Size: 1001}, "control/holdrules:3"},
		{NewMail{From: "a@spam.example", Size: 1000}, ""},
		{NewMail{From: "a@b", To: []string{"x@y", "z@a.SUB.example"}}, "control/holdrules:4"},
		{NewMail{From: "a@b", To: []string{"z@sub.example", "z@xsub.example"}}, ""},
		{NewMail{From: "a@b.test", To: []string{"boss+x@example.net"}}, "control/holdrules:5"},
		{NewMail{From: "a@test", To: []string{"boss@example.net"}}, ""},
		{NewMail{To: []string{"boss@example.net"}, Size: 5001}, "control/holdrules:6"},
		{NewMail{To: []string{"boss@example.net"}, Size: 5000}, ""},
		{NewMail{From: "a@b", Size: 100001}, "control/holdrules:7"},
	} {
		r, err := f.HoldRule(x.mail)
		got := ""
		if r != nil {
			got = r.Where
		}
		if err != nil || got != x.want {
			t.Errorf("%+v: %q, want %q (%v)", x.mail, got, x.want, err)
		}
	}
	if r, _ := f.HoldRule(NewMail{From: "eve@x.example"}); r.Text != "Eve: again" {
		t.Errorf("%q", r.Text)
	}
}

// A row that cannot be read may be the one that holds a message.
func TestBrokenHoldRules(t *testing.T) {
	f := newFixture(t, map[string]string{"holdrules": "from=a@b: yes\nform=c@d: no\n"})
	if r, err := f.HoldRule(NewMail{From: "a@b"}); r == nil || err != nil {
		t.Errorf("%v %v", r, err)
	}
	if _, err := f.HoldRule(NewMail{From: "x@y"}); !status.IsTemporary(err) || !strings.Contains(err.Error(), `"form=" is none of`) {
		t.Error(err)
	}
}

func TestGlob(t *testing.T) {
	for _, x := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "", true}, {"a*c", "abc", true}, {"a*c", "ac", true}, {"a*c", "acb", false}, {"*a*b*", "xxaxxbxx", true}, {"a", "ab", false},
		{"*ab", "aab", true}, {"a**", "a", true}, {"ab", "a", false}, {strings.Repeat("*a", 8) + "b", strings.Repeat("a", 10000), false},
	} {
		if got := glob(x.pattern, x.text); got != x.want {
			t.Errorf("%q %.20q: %v", x.pattern, x.text, got)
		}
	}
}
