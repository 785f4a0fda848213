package milter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-milter"

	"paperpath/internal/status"
)

// Every answer at every stage.
func TestEveryAnswer(t *testing.T) {
	stages := map[byte]Stage{'C': AtConnect, 'H': AtHelo, 'M': AtSender, 'R': AtRecipient, 'L': AtHeader,
		'N': AtHeaderEnd, 'B': AtBody, 'E': AtEnd}
	for code, at := range stages {
		for _, c := range []struct {
			packet []byte
			want   Answer
			reply  string
		}{
			{packet('a'), Answer{Kind: Accept}, ""},
			{packet('r'), Answer{Kind: Reject}, "550 5.7.1 refused by a filter"},
			{packet('t'), Answer{Kind: TempFail}, "451 4.7.1 a filter asks to try again later"},
			{packet('d'), Answer{Kind: Discard}, ""},
			{packet('4'), Answer{Kind: Shutdown}, "421 4.7.0 closing the connection"},
			{packet('y', "550 5.7.9 100%% spam\x00"), Answer{Reply, 550, "5.7.9", "100% spam"}, "550 5.7.9 100% spam"},
			{packet('y', "421 4.3.2 bye\x00"), Answer{Reply, 421, "4.3.2", "bye"}, "421 4.3.2 bye"},
			{packets(packet('p'), packet('p'), packet('r')), Answer{Kind: Reject}, "550 5.7.1 refused by a filter"},
		} {
			m := (&scripted{answers: map[byte][]byte{code: c.packet}}).start(t)
			r := converse(t.Context(), t, m)
			if r.err != nil || r.answer != c.want || min(at, AtEnd) != at || (at < AtHeader && r.at != at) {
				t.Errorf("%q at %s: %+v, %v", c.packet, at, r, r.err)
				continue
			}
			if err := r.answer.Err(); c.reply == "" && err != nil {
				t.Errorf("%q at %s: %v", c.packet, at, err)
			} else if c.reply != "" {
				code, enhanced, text := status.Reply(err)
				if got := fmt.Sprintf("%d %s %s", code, enhanced, text); got != c.reply {
					t.Errorf("%q at %s: %s, want %s", c.packet, at, got, c.reply)
				}
				if temporary := code < 500; status.IsTemporary(err) != temporary {
					t.Errorf("%q: exit status %d", c.packet, status.Exit(err))
				}
			}
		}
	}
}

// The text of a reply is one that our own client may get.
func TestReplies(t *testing.T) {
	for _, c := range []struct {
		code     int
		text     string
		enhanced string
		want     string
	}{
		{550, "5.7.1 no", "5.7.1", "no"},
		{550, "no", "5.7.1", "no"},
		{451, "no", "4.7.1", "no"},
		{550, "4.7.1 no", "5.7.1", "4.7.1 no"},
		{550, "5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three", "5.7.1", "one\ntwo\nthree"},
		{550, "one\n250 OK", "5.7.1", "one\n250 OK"},
		{550, "tab\tand\x1b[31mescape \xff", "5.7.1", `tab and\x1b[31mescape \xff`},
		{550, "", "5.7.1", "refused by a filter"},
		{550, "5.7.1 ", "5.7.1", "refused by a filter"},
		{550, "100%% 5%", "5.7.1", "100% 5%"},
		{550, "r\rs", "5.7.1", "r s"},
	} {
		a, err := replyOf(c.code, c.text)
		if err != nil || a.Code != c.code || a.Enhanced != c.enhanced || a.Text != c.want {
			t.Errorf("%q: %+v %v", c.text, a, err)
		}
	}
	for _, code := range []int{-1, 0, 250, 354, 399, 600} {
		if a, err := replyOf(code, "x"); err == nil {
			t.Errorf("%d: %+v", code, a)
		}
	}
	a, err := replyOf(550, strings.Repeat(strings.Repeat("x", 5000)+"\n", 500))
	if lines := strings.Split(a.Text, "\n"); err != nil || len(lines) != maxReplyLines || len(lines[0]) > maxReplyLine {
		t.Errorf("%d lines of %d octets: %v", len(lines), len(lines[0]), err)
	}
}

// What a milter does not want to see it is not shown, and what it does not answer is not
// waited for.
func TestNegotiation(t *testing.T) {
	all := uint32(actions)
	for _, c := range []struct {
		name    string
		options []byte
		answers map[byte][]byte
		want    string // commands that it sees
	}{
		{"everything", words(6, all, 0), nil, "C H M R L L L N B E"},
		{"nothing", words(6, all, 0x7f), nil, "E"},
		{"no body", words(6, all, uint32(milter.OptNoBody)), nil, "C H M R L L L N E"},
		{"no answers", words(6, all, 0xff080|uint32(milter.OptSkip)), map[byte][]byte{'C': silence, 'H': silence,
			'M': silence, 'R': silence, 'L': silence, 'N': silence, 'B': silence}, "C H M R L L L N B E"},
		{"version 2", words(2, 0x3f, 0x7f&^uint32(milter.OptNoHelo)), nil, "H E"},
		{"version 7", words(7, all, 0x7f), nil, "E"},
		{"a list of macros follows", append(words(6, all, 0x7f), "\x00\x00\x00\x00i j\x00"...), nil, "E"},
		{"actions that were not offered", words(6, 1<<8, 0), nil, "it wants actions that were not offered (0x100)"},
		{"a protocol that was not offered", words(6, all, uint32(milter.OptRcptRej)), nil, "it wants a protocol that was not offered (0x800)"},
		{"version 1", words(1, 0, 0), nil, "unsupported milter version"},
		{"short", []byte("short"), nil, "unexpected data size: 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := (&scripted{options: c.options, answers: c.answers}).start(t)
			r := converse(t.Context(), t, m)
			if r.err != nil {
				if !strings.Contains(r.err.Error(), c.want) {
					t.Errorf("%v, want %s", r.err, c.want)
				}
				return
			}
			var got []string
			for _, s := range m.Saw() {
				if s[0] == 'E' && m.Body() != "" {
					got = append(got, "B")
				}
				if s[0] != 'A' && s[0] != 'Q' {
					got = append(got, s[:1])
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}
