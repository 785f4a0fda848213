package harness

import (
	"bytes"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"
)

// Carol is a sender whom no host of a test knows.
const Carol = "carol@example.org"

// Shapes returns messages whose octets a mail server may be tempted to touch. The name of
// each is in its X-Shape field. Other servers may refuse lines above 998 octets
// (RFC 5321 4.5.3.1.6), which is why "long lines" is the longest that they all pass on
// with their limits lifted.
func Shapes() map[string][]byte {
	bodies := map[string]string{
		"plain":         "\nhello\n",
		"8 bit":         "\nGrüße, \xff\xfe latin and not utf-8 at all \x80\n",
		"dots":          "\n.\n..\n...\n.x\n. \n\n.\n",
		"a dot first":   "\n.first line of the body\n",
		"998 octets":    "\n" + strings.Repeat("x", 998) + "\n" + strings.Repeat("é", 499) + "\n",
		"long lines":    "\n" + strings.Repeat("y", 5000) + "\n." + strings.Repeat("z", 5000) + "\n",
		"10 MB":         "\n" + strings.Repeat(".23456789 123456789 123456789 123456789 123456789 123456789 123456789 12345\n", 135_000),
		"empty body":    "\n",
		"no body":       "",
		"blank lines":   "\n\n\n\n",
		"odd fields":    "Subject: =?utf-8?q?a?=\n\tfolded  line \nX-Odd:no blank\nX-Empty:\n\nx\n",
		"crowd":         "\nto many\n",
		"From in body":  "\nFrom here on\n>From there\n",
		"control bytes": "\n\x01\x07\x1b[31m\x7f\v\f\b\n",
	}
	all := map[string][]byte{}
	for name, body := range bodies {
		all[name] = Letter(name, body)
	}
	return all
}

// Letter returns a message with a whole header, to which body's first lines
// may add.
func Letter(shape, body string) []byte {
	return fmt.Appendf(nil, "From: Carol <%s>\nTo: %s\nDate: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <%s@peers.example>\nX-Shape: %s\n%s",
		Carol, "alice@"+Domain, strings.ReplaceAll(shape, " ", "."), shape, body)
}

// ShapeOf returns the X-Shape field of a message.
func ShapeOf(message []byte) string {
	_, rest, _ := bytes.Cut(message, []byte("\nX-Shape: "))
	shape, _, _ := bytes.Cut(rest, []byte("\n"))
	return string(shape)
}

// Unconverted returns a message, of one part, that was converted to quoted-printable on
// its way, as it was before.
func Unconverted(message []byte) []byte {
	header, body, _ := bytes.Cut(message, []byte("\n\n"))
	var was []byte
	for line := range bytes.Lines(append(bytes.Clone(header), '\n')) {
		name, _, _ := strings.Cut(string(line), ":")
		switch strings.ToLower(name) {
		case "mime-version", "content-type", "content-transfer-encoding":
		default:
			was = append(was, line...)
		}
	}
	text, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(body)))
	if err != nil {
		text = fmt.Append(text, err)
	}
	return append(append(was, '\n'), bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))...)
}
