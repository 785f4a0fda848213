package parts

import (
	"encoding/base64"
	"strings"
)

// decodeWords undoes encoded words (RFC 2047), which many programs put into names of
// files though they may not stand there (RFC 2047 5). The charset counts only if charsets
// does. NULs are left out, so that ASCII in UTF-16 is ASCII.
func decodeWords(text string, charsets bool) string {
	if !strings.Contains(text, "=?") {
		return text
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "=?")
		word, after, is := encodedWord(rest, charsets)
		switch {
		case !ok || after == "" && !is: // none is complete in what is left
			b.WriteString(text)
			return b.String()
		case !is:
			b.WriteString(text[:len(text)-len(after)])
		default:
			if strings.Trim(before, " \t") != "" || b.Len() == 0 { // blanks between two words do not count
				b.WriteString(before)
			}
			b.WriteString(strings.ReplaceAll(word, "\x00", ""))
		}
		text = after
	}
}

// encodedWord decodes what follows `=?`. If it is no encoded word, after is where another
// may begin, "" for nowhere.
func encodedWord(text string, charsets bool) (word, after string, ok bool) {
	charset, rest, ok1 := strings.Cut(text, "?")
	coding, rest, ok2 := strings.Cut(rest, "?")
	if !ok1 || !ok2 {
		return "", "", false
	}
	decode := map[string]func(string) string{"b": decodeBase64, "q": decodeQ}[strings.ToLower(coding)]
	if decode == nil {
		return "", text, false
	}
	coded, after, ok := strings.Cut(rest, "?=")
	if !ok {
		return "", "", false
	}
	if word = decode(coded); charsets {
		word = inCharset(charset, word)
	}
	return word, after, true
}

// decodeBase64 decodes as much as it can, padded or not. What is no base64 is passed over
// (RFC 2045 6.8).
func decodeBase64(s string) string {
	s = strings.Map(func(r rune) rune {
		if !isBase64(r) {
			return -1
		}
		return r
	}, s)
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(s)))
	n, _ := base64.RawStdEncoding.Decode(out, []byte(s))
	return string(out[:n])
}

func decodeQ(s string) string { return unhex(strings.ReplaceAll(s, "_", " "), '=') }

func isBase64(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '+' || r == '/'
}
