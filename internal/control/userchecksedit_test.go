package control

import (
	"strings"
	"testing"
)

// One row is edited, whatever lines it has; everything else stays.
func TestEditWishes(t *testing.T) {
	const others = "# mine\nbob@x.example: deny=*\n"
	for _, c := range []struct {
		name, text string
		wish       Wish
		senders    string
		want       string // "": refused
	}{
		{"a new file", "", Deny, "@s.example", "alice@x.example: deny=@s.example\n"},
		{"a new row", others, Allow, "a@b.example c@d.example", others + "alice@x.example: allow=a@b.example allow=c@d.example\n"},
		{"a last line without its end", "bob@x.example: deny=*", Deny, "@s.example", "bob@x.example: deny=*\nalice@x.example: deny=@s.example\n"},
		{"a word more", "Alice@X.example: deny=@a.example\n" + others, Deny, "@s.example", "alice@x.example: deny=@a.example deny=@s.example\n" + others},
		{"another mind", others + "alice@x.example: deny=@s.example\n", Allow, "@S.example", others + "alice@x.example: allow=@S.example\n"},
		{"a row of several lines", "alice@x.example: deny=@a.example\n allow=b@b.example\n\tdeny=c@c.example\n" + others, Indifferent, "b@b.example",
			"alice@x.example: deny=@a.example deny=c@c.example\n" + others},
		{"no blank behind the colon", "alice@x.example:deny=@a.example\n", Deny, "b@b.example", "alice@x.example: deny=@a.example deny=b@b.example\n"},
		{"the last word", others + "alice@x.example: deny=@s.example\n", Indifferent, "@s.example", others},
		{"a comment inside a row", others + "alice@x.example: deny=@a.example\n# why\n\n allow=b@b.example\n# end\n", Indifferent, "b@b.example",
			others + "alice@x.example: deny=@a.example\n# why\n\n# end\n"},
		{"all of a row with a comment", others + "alice@x.example: deny=@a.example\n # why\n allow=b@b.example\n", Indifferent,
			"@a.example b@b.example", others + " # why\n"},
		{"two rows", "alice@x.example: deny=@a.example\n" + others + "Alice@x.example: deny=b@b.example\n", Deny, "@s.example", ""},
		{"nothing to remove", others, Indifferent, "@s.example", ""},
		{"a broken row", "alice@x.example: deny\n", Deny, "@s.example", ""},
	} {
		got, err := editWishes(c.text, "alice@x.example", c.wish, strings.Fields(c.senders))
		if got != c.want || (err != nil) != (c.want == "" && c.name != "a new file") {
			t.Errorf("%s: %v\n%s", c.name, err, got)
		}
	}
	long, err := editWishes("", "alice@x.example", Deny, strings.Fields(strings.Repeat("@somebody.example ", 1)+
		"@a.example @b.example @c.example @d.example @e.example @f.example @g.example"))
	if err != nil || strings.Count(long, "\n") < 2 {
		t.Errorf("%v %q", err, long)
	}
	for line := range strings.Lines(long) {
		if len(line) > 79 {
			t.Errorf("%q", line)
		}
	}
	c := newFixture(t, map[string]string{"user-checks": long})
	if list, err := c.UserRules("alice@x.example"); err != nil || len(list) != 8 || list[7].Sender != "@g.example" {
		t.Errorf("%v, %v in\n%s", list, err, long)
	}
}
