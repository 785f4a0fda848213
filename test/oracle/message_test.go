package oracle

import (
	"strings"

	"pgregory.net/rapid"
)

// names are those of fields in generated messages: signed ones, others, in any case.
var names = []string{"From", "To", "Cc", "Subject", "subject", "SUBJECT", "Date", "Message-ID", "MIME-Version",
	"Content-Type", "List-Id", "List-Unsubscribe", "Received", "X-Odd_name.9", "Reply-To", "Sender", "Resent-From"}

// fold draws blanks, folded or not.
func fold(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", " ", "\t", "  ", " \t ", "\r\n ", "\r\n\t", " \r\n \r\n\t"}).Draw(t, "blanks")
}

// word draws text of a header.
func word(t *rapid.T) string {
	return rapid.SampledFrom([]string{"x", "hello", "a;b=c", ":", "=?utf-8?q?x?=", "\xc3\xa4\xc3\xb6", "b=", "<a@example.org>",
		"\x00", strings.Repeat("y", 1200), "\"quoted \\\" text\""}).Draw(t, "word")
}

// field draws a header field with its line end.
func field(t *rapid.T, name string) string {
	var b strings.Builder
	b.WriteString(name + rapid.SampledFrom([]string{":", ":", ":", " :"}).Draw(t, "colon"))
	for range rapid.IntRange(0, 4).Draw(t, "words") {
		b.WriteString(fold(t) + word(t))
	}
	if strings.TrimSpace(name) == "From" {
		b.WriteString(" A <a@example.org>")
	}
	b.WriteString(rapid.SampledFrom([]string{"", "", " ", "\t"}).Draw(t, "end"))
	return b.String() + "\r\n"
}

// header draws a header with exactly one From, without its blank line.
func header(t *rapid.T) string {
	var list []string
	for range rapid.IntRange(0, 8).Draw(t, "fields") {
		if name := rapid.SampledFrom(names).Draw(t, "name"); name != "From" {
			list = append(list, field(t, name))
		}
	}
	if rapid.IntRange(0, 30).Draw(t, "many") == 0 {
		for range 400 {
			list = append(list, "X-Many: "+strings.Repeat("z", 60)+"\r\n")
		}
	}
	at := rapid.IntRange(0, len(list)).Draw(t, "place of From")
	return strings.Join(list[:at], "") + field(t, "From") + strings.Join(list[at:], "")
}

// body draws a body with CRLF line ends and no stray CR or LF. Its last line may lack an
// end.
func body(t *rapid.T) string {
	var b strings.Builder
	for range rapid.IntRange(0, 12).Draw(t, "lines") {
		b.WriteString(rapid.SampledFrom([]string{"", "", " ", "\t \t", "text", "text ", " text", "a  b\t\tc", ".", "From x",
			"\xff\xfe\x00", strings.Repeat("w ", 3000), "\r\n\r\n\r\n\r\n"}).Draw(t, "line"))
		b.WriteString("\r\n")
	}
	b.WriteString(rapid.SampledFrom([]string{"", "", "", "x", " x"}).Draw(t, "rest"))
	return b.String()
}

// message draws a message.
func message(t *rapid.T) string { return header(t) + "\r\n" + body(t) }

// change draws a change of a message: some break a signature and some must not.
func change(t *rapid.T, text string) string {
	head, rest, _ := strings.Cut(text, "\r\n\r\n")
	switch rapid.IntRange(0, 9).Draw(t, "change") {
	case 0:
		return text
	case 1:
		return text + rapid.SampledFrom([]string{"\r\n", "\r\n\r\n", " ", "x", " \r\n", "\r\nx"}).Draw(t, "appended")
	case 2:
		return field(t, rapid.SampledFrom(names).Draw(t, "name")) + text
	case 3:
		return head + "\r\n" + field(t, rapid.SampledFrom(names).Draw(t, "name")) + "\r\n" + rest
	case 4:
		return strings.Replace(text, "\r\n\r\n", "\r\n\r\n\r\n", 1)
	case 5:
		return strings.ReplaceAll(head, " ", "  ") + "\r\n\r\n" + rest
	case 6:
		return head + "\r\n\r\n" + strings.ReplaceAll(rest, " ", rapid.SampledFrom([]string{"\t", "  ", ""}).Draw(t, "blank"))
	case 7:
		return strings.Replace(head, "Subject", "SUBJECT", 1) + "\r\n\r\n" + rest
	case 8:
		return head + "\r\n\r\n" + strings.TrimRight(rest, "\r\n")
	}
	i := rapid.IntRange(0, len(text)-1).Draw(t, "place")
	if c := text[i]; c == '\r' || c == '\n' || text[i] == ':' {
		return text
	}
	return text[:i] + rapid.SampledFrom([]string{"x", " ", "=", ";"}).Draw(t, "octet") + text[i+1:]
}
