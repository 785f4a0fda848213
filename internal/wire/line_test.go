package wire

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

func TestEndings(t *testing.T) {
	for _, tt := range []struct {
		text     string
		cr       bool
		crlf, lf int // length of the line, 0: it does not end
	}{
		{"a\r\nb", false, 3, 3},
		{"a\nb\r\n", false, 5, 2},
		{"\n", true, 1, 1},
		{"\n", false, 0, 1},
		{"a\nb", true, 0, 2},
		{"\r\r\n", false, 3, 3},
		{"\r", false, 0, 0},
		{"", true, 0, 0},
	} {
		for name, row := range map[string]struct {
			end  Ending
			want int
		}{"CRLF": {CRLF, tt.crlf}, "LF": {LF, tt.lf}} {
			n, ended := row.end([]byte(tt.text), tt.cr)
			if want := row.want; ended != (want > 0) || ended && n != want || !ended && n != len(tt.text) {
				t.Errorf("%s of %q: %d, %v", name, tt.text, n, ended)
			}
		}
	}
}

func TestLine(t *testing.T) {
	long := strings.Repeat("x", 200)
	for _, tt := range []struct {
		name, in   string
		end        Ending
		keep, most int
		line       string
		size       int
		err        error
	}{
		{"whole", "ab\r\ncd\r\n", CRLF, 10, 0, "ab\r\n", 4, nil},
		{"bare LF in it", "a\nb\r\n", CRLF, 10, 0, "a\nb\r\n", 5, nil},
		{"bare LF ends it", "a\nb\r\n", LF, 10, 0, "a\n", 2, nil},
		{"larger than the buffer", long + "\r\n", CRLF, 300, 0, long + "\r\n", 202, nil},
		{"more than is kept", long + "\r\n", CRLF, 100, 0, long[:100], 202, nil},
		{"just not endless", long + "\n", LF, 100, 201, long[:100], 201, nil},
		{"endless", long + "x\n", LF, 100, 201, "", 0, ErrEndless},
		{"cut off", "ab\r", CRLF, 10, 0, "", 0, io.EOF},
		{"nothing", "", LF, 10, 0, "", 0, io.EOF},
	} {
		for _, cut := range []int{1, 2, 3, 1000} {
			bubble(t, tt.name, func(t *testing.T) {
				c, client := pair(t, Options{})
				go func() {
					for in := tt.in; in != ""; {
						n := min(cut, len(in))
						client.Write([]byte(in[:n]))
						in = in[n:]
					}
					hangUp(client)
				}()
				line, size, err := c.Line(tt.end, tt.keep, tt.most)
				if err != tt.err || err == nil && (string(line) != tt.line || size != tt.size) {
					t.Errorf("in pieces of %d: %q of %d, %v", cut, line, size, err)
				}
				io.Copy(io.Discard, c)
			})
		}
	}
}

// What follows a line that was too large is read as the next one.
func TestLineKeepsInStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := pair(t, Options{})
		go client.Write([]byte(strings.Repeat("x", 500) + "\r\nnext\r\n"))
		if line, size, err := c.Line(CRLF, 100, 0); len(line) != 100 || size != 502 || err != nil {
			t.Errorf("%d of %d, %v", len(line), size, err)
		}
		if line, _, err := c.Line(CRLF, 100, 0); string(line) != "next\r\n" || err != nil {
			t.Errorf("%q, %v", line, err)
		}
	})
}
