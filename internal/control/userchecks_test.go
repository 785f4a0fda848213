package control

import "testing"

func TestUserChecks(t *testing.T) {
	f := newFixture(t, map[string]string{"user-checks": "Alice@example.net: deny=* allow=@Friends.example\n deny=eve@friends.example allow=boss@x.example\n" +
		"bob@example.net: deny=@spam.example allow=good@spam.example\n@example.net: deny=@ads.example deny=both@b.example allow=both@b.example\n"})
	for _, c := range []struct {
		who     string
		senders []string
		want    Wish
		where   string
	}{
		{"alice@example.net", []string{"x@other.example"}, Deny, "control/user-checks:1"},
		{"ALICE@example.net", []string{"x@friends.example"}, Allow, "control/user-checks:1"},
		{"alice@example.net", []string{"x@mail.friends.example"}, Allow, "control/user-checks:1"},
		{"alice@example.net", []string{"EVE@friends.example"}, Deny, "control/user-checks:1"},
		{"alice@example.net", []string{"x@notfriends.example"}, Deny, "control/user-checks:1"},
		{"alice@example.net", []string{"x@other.example", "boss@x.example"}, Allow, "control/user-checks:1"},
		{"bob@example.net", []string{"x@spam.example"}, Deny, "control/user-checks:3"},
		{"bob@example.net", []string{"good@spam.example"}, Allow, "control/user-checks:3"},
		{"bob@example.net", []string{"x@ads.example"}, Deny, "control/user-checks:4"},
		{"bob@example.net", []string{"x@y.example", ""}, Indifferent, ""},
		{"carl@example.net", []string{"both@b.example"}, Allow, "control/user-checks:4"},
		{"carl@example.org", []string{"x@ads.example"}, Indifferent, ""},
	} {
		wish, where, err := f.UserWish(c.who, c.senders)
		if wish != c.want || where != c.where || err != nil {
			t.Errorf("%s %q: %q, %q, %v, want %q, %q", c.who, c.senders, wish, where, err, c.want, c.where)
		}
	}
	for text, want := range map[string]string{
		"alice: deny=*\n":                 "control/user-checks:1:",
		"a@b.example:\n":                  "control/user-checks:1: no value",
		"a@b.example: block=*\n":          `control/user-checks:1: "block=*" is neither allow=SENDER nor deny=SENDER`,
		"a@b.example: deny\n":             `control/user-checks:1: "deny" is neither allow=SENDER nor deny=SENDER`,
		"a@b.example: deny=x y\n":         `control/user-checks:1: sender "x"`,
		"a@b.example: deny=@b_example/\n": `control/user-checks:1: sender "@b_example/"`,
	} {
		f.write("user-checks", text)
		wantError(t, f.checkTable("user-checks"), want)
	}
	f.write("user-checks", "a@b.example: block=*\nc@b.example: deny=*\n")
	if wish, _, err := f.UserWish("a@b.example", []string{"x@y.example"}); err == nil || wish != Indifferent {
		t.Errorf("a broken row: %q, %v", wish, err)
	}
}
