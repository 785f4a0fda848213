package sevenbit

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-message"
)

// leaves returns the decoded parts of a message as go-message reads them, an error for
// what it does not read.
func leaves(r io.Reader, depth int) (list []string, err error) {
	e, err := message.Read(r)
	if err != nil && !message.IsUnknownCharset(err) {
		return nil, err
	}
	return leavesOf(e, false, depth)
}

func leavesOf(e *message.Entity, digest bool, depth int) (list []string, err error) {
	if depth > 60 {
		return nil, errors.New("too deep")
	}
	mediaType, _, err := e.Header.ContentType()
	if err != nil {
		return nil, err
	}
	if m := e.MultipartReader(); m != nil {
		for {
			p, err := m.NextPart()
			switch {
			case err == io.EOF:
				return list, nil
			case err != nil && !message.IsUnknownCharset(err):
				return list, err
			}
			more, err := leavesOf(p, mediaType == "multipart/digest", depth+1)
			if list = append(list, more...); err != nil {
				return list, err
			}
		}
	}
	if mediaType == "message/rfc822" || mediaType == "message/news" || digest && !e.Header.Has("Content-Type") {
		return leaves(e.Body, depth+1)
	}
	b, err := io.ReadAll(e.Body)
	return []string{mediaType + ": " + string(b)}, err
}

// seeds are messages with every feature that the conversion knows.
var seeds = []string{
	"a: b\n\nf\xc3\xbcr\n",
	"Content-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\n\xe4 \n=\nFrom x\n.\n",
	"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n\xe4\n--b\n\n\xe4\n--b\nContent-Type: message/rfc822\n\nS: x\n\n\xe4\n--b--\n\xe4",
	"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\n\xe4\n--b--\n--a\nContent-Transfer-Encoding: binary\nContent-Type: x/y\n\n\xff\x00\n--a--\n",
	"Content-Transfer-Encoding: quoted-printable\n\na=e4\xe4=\nb= \n=zz \xe4\n",
	"Content-Transfer-Encoding: base64\n\naGFs\xe4bG8=\n",
	"Content-Type: multipart/digest; boundary=a\n\n--a\n\nS: x\n\n\xe4\n--a--\n",
	"Content-Type: multipart/signed; boundary=a\n\n--a\n\n\xe4\n--a--\n",
	"a: " + strings.Repeat("x ", 700) + "\n\n" + strings.Repeat("y", 1200) + "\n",
}

// FuzzConvert: a result has no octet beyond ASCII in its body and no long line that the
// message did not have; it needs no second conversion; its parts are, decoded, those of
// the message.
func FuzzConvert(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		text := crlf(in)
		got, err := convert(t, text, seven)
		var refusal *Refusal
		if errors.As(err, &refusal) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, text, got)
		again, err := convert(t, got, seven)
		if err != nil || again != got {
			t.Fatalf("%q\nonce   %q\ntwice  %q %v", text, got, again, err)
		}
		if want, err := leaves(strings.NewReader(text), 0); err == nil {
			have, err := leaves(strings.NewReader(got), 0)
			if err != nil || !slices.Equal(want, have) {
				t.Fatalf("%q became %q\nwant %q\nhave %q %v", text, got, want, have, err)
			}
		}
	})
}

// wellFormed fails the test unless the converted text may go to a host for 7-bit text.
func wellFormed(t *testing.T, text, got string) {
	t.Helper()
	if strings.Contains(strings.ReplaceAll(got, "\r\n", ""), "\n") || got != "" && !strings.HasSuffix(got, "\r\n") {
		t.Fatalf("%q became %q: line ends", text, got)
	}
	_, body, _ := strings.Cut("\r\n"+got, "\r\n\r\n")
	if hasEight([]byte(body)) {
		t.Fatalf("%q became %q: octets beyond ASCII", text, got)
	}
	for _, line := range strings.SplitAfter(got, "\r\n") {
		// A field may have no blank to break it at, or have it too late.
		at := foldAt([]byte(strings.TrimRight(line, "\r\n")), 0)
		if len(line) > MaxLine+2 && !strings.Contains(text, line) && at >= 0 && at <= MaxLine {
			t.Fatalf("%.300q became %.300q: a new long line %.300q", text, got, line)
		}
	}
}
