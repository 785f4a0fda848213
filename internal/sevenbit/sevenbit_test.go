package sevenbit

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// crlf gives a text the line ends of the wire.
func crlf(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", " ")
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return strings.ReplaceAll(s, "\n", "\r\n")
}

// convert returns the converted text.
func convert(t testing.TB, text string, o Options) (string, error) {
	t.Helper()
	p, err := Scan(strings.NewReader(text), o)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(p.Apply(strings.NewReader(text)))
	if err != nil {
		t.Fatalf("%.200q: %v", text, err)
	}
	return string(b), nil
}

var seven = Options{Seven: true, Fold: true}

// TestConvert: what changes, and what does not.
func TestConvert(t *testing.T) {
	const mime = "MIME-Version: 1.0\n"
	long := strings.Repeat("long ", 250)
	for _, c := range []struct{ name, in, out string }{
		{"nothing to do", "a: b\n\nplain\n", "a: b\n\nplain\n"},
		{"empty", "", ""},
		{"no body", "a: \xc3\xa4\n", "a: \xc3\xa4\n"},
		{"no MIME, UTF-8", "a: b\n\nf\xc3\xbcr\n", "a: b\n" + mime +
			"Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=utf-8\n\nf=C3=BCr\n"},
		{"no MIME, another charset", "a: b\n\nf\xfcr\n", "a: b\n" + mime +
			"Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=unknown-8bit\n\nf=FCr\n"},
		{"no MIME, half a character", "a: b\n\nf\xc3\n", "a: b\n" + mime +
			"Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=unknown-8bit\n\nf=C3\n"},
		{"no MIME, long line", "a: b\n\n" + strings.Repeat("x", 999) + "\n", "a: b\n" + mime +
			"Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=us-ascii\n\n" +
			strings.Repeat(strings.Repeat("x", 75)+"=\n", 13) + strings.Repeat("x", 24) + "\n"},
		{"998 octets are no long line", "a: b\n\n" + strings.Repeat("x", 998) + "\n", "a: b\n\n" + strings.Repeat("x", 998) + "\n"},
		{"label, folded, odd case", mime + "CONTENT-transfer-ENCODING:\n 8BIT\nContent-Type: text/html; charset=iso-8859-1\nb: c\n\n<b>\xe4</b> \n=\n",
			mime + "Content-Transfer-Encoding: quoted-printable\nContent-Type: text/html; charset=iso-8859-1\nb: c\n\n<b>=E4</b>=20\n=3D\n"},
		{"two labels", mime + "Content-Transfer-Encoding: 8bit\nb: c\nContent-Transfer-Encoding: 8bit\nContent-Type: text/plain\n\n\xe4\n",
			mime + "Content-Transfer-Encoding: quoted-printable\nb: c\nContent-Type: text/plain\n\n=E4\n"},
		{"a lying label", mime + "Content-Type: text/plain\nContent-Transfer-Encoding: 7bit\n\n\xe4\n",
			mime + "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=E4\n"},
		{"binary", mime + "Content-Type: image/x\nContent-Transfer-Encoding: binary\n\n\xff\x00\xfe\n",
			mime + "Content-Type: image/x\nContent-Transfer-Encoding: base64\n\n/wD+DQo=\n"},
		{"binary text", mime + "Content-Type: text/x\nContent-Transfer-Encoding: binary\n\n\xff\n",
			mime + "Content-Type: text/x\nContent-Transfer-Encoding: quoted-printable\n\n=FF\n"},
		{"8-bit text, not for people", mime + "Content-Type: application/json\nContent-Transfer-Encoding: 8bit\n\n\"\xff\"\n",
			mime + "Content-Type: application/json\nContent-Transfer-Encoding: quoted-printable\n\n\"=FF\"\n"},
		{"mailbox files, dots", "Content-Type: text/plain\nMime-version: 1.0\n\n\xe4\nFrom here\nFromm x\n.\n. \n-- \nFrom\n",
			"Content-Type: text/plain\nMime-version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\n=E4\nFrom=20here\nFromm x\n=2E\n=2E=20\n--=20\nFrom\n"},
		{"multipart", mime + "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\nbefore\n--b\n\n\xe4\n\n--b \nContent-Type: text/html\nx: y\n\nplain\n--b--\nafter\n",
			mime + "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 7bit\n\nbefore\n--b\nContent-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=unknown-8bit\n\n=E4\n\n--b \nContent-Type: text/html\nx: y\n\nplain\n--b--\nafter\n"},
		{"around the parts", mime + "Content-Type: multipart/mixed; boundary=\"b c\"\n\n\xe4\n--b c\n\nx\n--b c--\n\xe4\xe4\n",
			mime + "Content-Type: multipart/mixed; boundary=\"b c\"\n\n?\n--b c\n\nx\n--b c--\n??\n"},
		{"nested, the inner one not closed", mime + "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\n\xe4\n--a\nContent-Type: text/plain\n\n\xe5\n--a--\n",
			mime + "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=E4\n--a\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=E5\n--a--\n"},
		{"message in a part", mime + "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nsubject: x\n\n\xe4\n--a--\n",
			mime + "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\nsubject: x\n" + mime +
				"Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=unknown-8bit\n\n=E4\n--a--\n"},
		{"digest", mime + "Content-Type: multipart/digest; boundary=a\n\n--a\n\nsubject: x\nContent-Type: text/plain\n\n\xe4\n--a--\n",
			mime + "Content-Type: multipart/digest; boundary=a\n\n--a\n\nsubject: x\nContent-Type: text/plain\n" + mime + "Content-Transfer-Encoding: quoted-printable\n\n=E4\n--a--\n"},
		{"a broken line is no delimiter", mime + "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n\xe4" + strings.Repeat("x", 72) + "--b\n--b--\n",
			mime + "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=E4" + strings.Repeat("x", 72) + "=\n=2D-b\n--b--\n"},
		{"quoted-printable with more", mime + "Content-Type: text/plain\nContent-Transfer-Encoding: Quoted-Printable\n\nx=e4\xe4 =\n y = \n=zz=\n",
			mime + "Content-Type: text/plain\nContent-Transfer-Encoding: Quoted-Printable\n\nx=e4=E4 =\n y =\n=3Dzz=\n"},
		{"base64 with more", mime + "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n\xe4aGFs bG8=\n",
			mime + "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\naGFsbG8=\n"},
		{"base64 in one line", mime + "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat("aGFs", 250) + "\n",
			mime + "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat(strings.Repeat("aGFs", 19)+"\n", 13) + strings.Repeat("aGFs", 3) + "\n"},
		{"signed, 7-bit, beside 8-bit", mime + "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/signed; boundary=b\n\n--b\n\n" + long + "x\n--b--\n--a\nContent-Type: text/plain\n\n\xe4\n--a--\n",
			mime + "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/signed; boundary=b\n\n--b\n\n" + long + "x\n--b--\n--a\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=E4\n--a--\n"},
		{"boundary without its quotes", mime + "Content-Type: multipart/mixed; boundary=a=b\n\n--a=b\nContent-Type: text/plain\n\n\xe4\n--a=b--\n",
			mime + "Content-Type: multipart/mixed; boundary=a=b\n\n--a=b\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=E4\n--a=b--\n"},
		{"boundary like an encoded word", mime + "Content-Type: multipart/mixed; boundary=\"=?utf-8?q?x?=\"\n\n--=?utf-8?q?x?=\nContent-Type: text/plain\n\n\xe4\n--=?utf-8?q?x?=--\n",
			mime + "Content-Type: multipart/mixed; boundary=\"=?utf-8?q?x?=\"\n\n--=?utf-8?q?x?=\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=E4\n--=?utf-8?q?x?=--\n"},
		{"a type that is none", "Content-Type: text\nMIME-Version: 1.0\n\n\xe4\n", "Content-Type: text\nMIME-Version: 1.0\nContent-Transfer-Encoding: quoted-printable\n\n=E4\n"},
		{"long header", "a: " + strings.Repeat("x", 990) + " yyyyy zz\n\nb\n", "a: " + strings.Repeat("x", 990) + "\n yyyyy zz\n\nb\n"},
		{"long header without a blank", "a:" + strings.Repeat("x", 1990) + "\n\nb\n", "a:" + strings.Repeat("x", 1990) + "\n\nb\n"},
		{"long around the parts", mime + "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("x", 1000) + "\n--b\n\nx\n--b--\n",
			mime + "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("x", 998) + "\n xx\n--b\n\nx\n--b--\n"},
	} {
		got, err := convert(t, crlf(c.in), seven)
		if want := crlf(c.out); err != nil || got != want {
			t.Errorf("%s: %v\n got %q\nwant %q", c.name, err, got, want)
		}
	}
}

// TestRefused: what has no 7-bit form, and why. Lines of any length are no reason.
func TestRefused(t *testing.T) {
	in := func(ctype, body string) string { return "Content-Type: " + ctype + "\n\n" + body }
	parts := "--b\nContent-Type: text/plain\n\n\xe4\n--b--\n"
	deep := ""
	for i := range 60 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	for _, c := range []struct{ name, in, why string }{
		{"signed", in("multipart/signed; boundary=b", parts), "a part that is multipart/signed"},
		{"encrypted", in("Multipart/Encrypted; boundary=b", parts), "a part that is multipart/encrypted"},
		{"partial", in("message/partial; id=x", "\xe4\n"), "message/partial"},
		{"external", in("message/external-body; access-type=x", "\xe4\n"), "message/external-body"},
		{"no boundary", in("multipart/mixed", parts), "a multipart without a boundary"},
		{"two boundaries", in("multipart/mixed; boundary=b; boundary=c", parts), "a multipart without a boundary"},
		{"another boundary", in("multipart/mixed; boundary=x", parts), "a multipart without parts"},
		{"the boundary around it", in("multipart/mixed; boundary=b", "--b\n"+in("multipart/mixed; boundary=b", "\xe4\n"+parts)), "the boundary of a multipart around it"},
		{"two types", in("multipart/mixed; boundary=b\nContent-Type: text/plain", parts), "more than one Content-Type"},
		{"two encodings", in("text/plain\nContent-Transfer-Encoding: 8bit\nContent-Transfer-Encoding: base64", "\xe4\n"), "two kinds of Content-Transfer-Encoding"},
		{"unknown encoding", in("text/plain\nContent-Transfer-Encoding: x-uuencode", "\xe4\n"), "an unknown Content-Transfer-Encoding"},
		{"encoded multipart", in("multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64", parts), "an encoded multipart"},
		{"junk", "From me\nContent-Type: text/plain\n\n\xe4\n", "lines that are not fields"},
		{"part's header", in("multipart/mixed; boundary=b", "--b\nContent-Disposition: x; name=\"\xe4\"\n\n\n--b--\n"), "the header of a part"},
		{"message's header", in("message/rfc822", "Subject: \xe4\n\nx\n"), "the header of a part"},
		{"deep", deep + "\n\n\xe4\n", "nested too deeply"},
		{"many parts", in("multipart/mixed; boundary=b", strings.Repeat("--b\n\nx\n", 1001)+parts), "behind too many others"},
		{"many fields", strings.Repeat("a: b\n", 5001) + "\n\xe4\n", "too many fields"},
		{"big header", strings.Repeat("a: "+strings.Repeat("b", 900)+"\n", 300) + "\n\xe4\n", "header that is too long"},
	} {
		_, err := convert(t, crlf(c.in), seven)
		var r *Refusal
		if !errors.As(err, &r) || !strings.Contains(r.Why, c.why) {
			t.Errorf("%s: %v, want %q", c.name, err, c.why)
		}
		if got, err := convert(t, crlf(c.in), Options{Fold: true}); err != nil || got != crlf(c.in) {
			t.Errorf("%s, for long lines: %v, changed: %v", c.name, err, got != crlf(c.in))
		}
	}
}

// TestFoldOnly: a host that takes 8-bit text gets it, in parts without long lines.
func TestFoldOnly(t *testing.T) {
	in := crlf("Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n--b\nContent-Transfer-Encoding: 8bit\n\n\xe4\n--b\nContent-Type: text/x\n\n" +
		strings.Repeat("\xe4", 999) + "\n--b--\n\xe4\n")
	want := strings.Replace(in, "Content-Type: text/x\r\n", "Content-Type: text/x\r\nContent-Transfer-Encoding: quoted-printable\r\n", 1)
	qp := ""
	for i := range 999 {
		if i%25 == 0 && i > 0 {
			qp += "=\r\n"
		}
		qp += "=E4"
	}
	want = strings.Replace(want, strings.Repeat("\xe4", 999), qp, 1)
	if got, err := convert(t, in, Options{Fold: true}); err != nil || got != want {
		t.Errorf("%v\n got %q\nwant %q", err, got, want)
	}
}

// TestReading: the result does not depend on how the text is read, and a text that is
// not the one that was scanned is an error.
func TestReading(t *testing.T) {
	text := crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n\xe4" + strings.Repeat("x", 20000) + "\xc3\n--b--\n")
	p, err := Scan(iotest.OneByteReader(strings.NewReader(text)), seven)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := convert(t, text, seven)
	for name, r := range map[string]io.Reader{
		"octet by octet": iotest.OneByteReader(p.Apply(strings.NewReader(text))),
		"of octets":      p.Apply(iotest.OneByteReader(strings.NewReader(text))),
		"data with EOF":  p.Apply(iotest.DataErrReader(strings.NewReader(text))),
	} {
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("%s: %v, %d octets, want %d", name, err, len(got), len(want))
		}
	}
	if _, err := io.ReadAll(p.Apply(strings.NewReader(text[:100]))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut text: %v", err)
	}
	broken := io.MultiReader(strings.NewReader(text[:100]), iotest.ErrReader(errors.New("disk")))
	if _, err := Scan(broken, seven); err == nil || err.Error() != "disk" {
		t.Errorf("%v", err)
	}
}

// TestMemory: a large part is not held.
func TestMemory(t *testing.T) {
	const size = 32 << 20
	text := func() io.Reader {
		return io.MultiReader(strings.NewReader("Content-Type: text/plain\r\n\r\n"), io.LimitReader(repeat{}, size), strings.NewReader("\r\n"))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, err := Scan(text(), seven)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, p.Apply(text()))
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; err != nil || n < 3*size || used > 2<<20 {
		t.Errorf("%v: %d octets, %d octets of memory", err, n, used)
	}
}

type repeat struct{}

func (repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 0xe4
	}
	return len(p), nil
}
