package parts

import (
	"strings"
)

// inCharset returns a text in which ASCII is not written as ASCII, as far as that differs: in
// UTF-7 (RFC 2152) and in EBCDIC. Others have the octets of ASCII, some with NULs between
// them.
func inCharset(charset, text string) string {
	charset, _, _ = strings.Cut(strings.ToLower(charset), "*") // a language (RFC 2231 5)
	switch {
	case strings.Contains(charset, "utf-7"), strings.Contains(charset, "utf7"):
		return fromUTF7(text)
	case strings.HasPrefix(charset, "ibm"), strings.HasPrefix(charset, "cp"), strings.Contains(charset, "ebcdic"):
		return fromEBCDIC(text)
	}
	return text
}

// fromUTF7 undoes the shifted parts of UTF-7, in which a character of ASCII is an octet
// behind a NUL.
func fromUTF7(text string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "+")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return !isBase64(r) })
		if end < 0 {
			end = len(rest)
		}
		b.WriteString(strings.ReplaceAll(decodeBase64(rest[:end]), "\x00", ""))
		text = strings.TrimPrefix(rest[end:], "-")
	}
}

// ebcdic has runs of ASCII by their first octet in all code pages of EBCDIC.
var ebcdic = [...]struct {
	first byte
	ascii string
}{{0x40, " "}, {0x4b, "."}, {0x60, "-/"}, {0x6d, "_"}, {0x81, "abcdefghi"}, {0x91, "jklmnopqr"}, {0xa2, "stuvwxyz"},
	{0xc1, "ABCDEFGHI"}, {0xd1, "JKLMNOPQR"}, {0xe2, "STUVWXYZ"}, {0xf0, "0123456789"}}

func fromEBCDIC(text string) string {
	out := []byte(text)
	for i, c := range out {
		out[i] = '?'
		for _, run := range ebcdic {
			if c >= run.first && int(c-run.first) < len(run.ascii) {
				out[i] = run.ascii[c-run.first]
			}
		}
	}
	return string(out)
}
