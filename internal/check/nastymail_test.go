//go:build !race

package check

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/dkim"
	"paperpath/internal/spool"
)

// nasty makes messages from a seed.
type nasty struct{ *rand.Rand }

// size is mostly small, and sometimes as large as it may be.
func (g *nasty) size(most int) int {
	switch g.IntN(20) {
	case 0:
		return most
	case 1, 2, 3:
		return g.IntN(most) + 1
	}
	return g.IntN(min(most, 200)) + 1
}

func (g *nasty) of(list ...string) string { return list[g.IntN(len(list))] }

func (g *nasty) octets(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return strings.ReplaceAll(string(b), "\r", "")
}

func (g *nasty) subject() Subject {
	s := Subject{SMTPPeer: true, With: "ESMTP", Client: netip.AddrFrom4([4]byte{192, 0, 2, byte(g.IntN(9))}),
		Helo: g.of("h.example", "[192.0.2.1]", "x", "", g.domain(), strings.Repeat("a.", 120)+"b"), Envelope: to("alice@example.net")}
	s.Envelope.From.Addr = g.of("", "bob@x.example", "bob@"+g.domain(), `"a b"@y.example`, `"a@x.example"@z.example`,
		strings.Repeat("l", 64)+"@x.example", "x@"+strings.Repeat("a.", 100)+"example")
	s.Resolve = func(a addr.Address) ([]addr.Address, error) { return []addr.Address{a}, nil }
	switch g.IntN(5) {
	case 0:
		s.With, s.Login, s.SMTPPeer = "ESMTPSA", "alice@example.net", false
	case 1:
		s.With, s.SMTPPeer, s.Client = spool.WithLocal, false, netip.Addr{}
	}
	return s
}

const plainHeader = "Date: Sat, 28 Nov 2026 12:00:00 +0000\nMessage-ID: <1@x.example>\nSubject: x\n"

// message makes one, and says of what kind it is.
func (g *nasty) message() (kind, text string) {
	from := "From: " + g.of("bob@x.example", "alice@example.net", "bob@"+g.domain(), "a@x.example, b@"+g.domain(), g.addresses(),
		g.comment()+" <a@x.example>") + "\n"
	kinds := []struct {
		kind string
		make func() string
	}{
		{"nesting", func() string { return from + g.nesting() }},
		{"boundaries", func() string { return from + g.boundaries() }},
		{"giant field", func() string {
			return from + g.of("Subject", "To", "X", "Received", "Content-Type") + ": " + strings.Repeat(g.of("x", "x ", "\n x", "(", "\"", "=?", ";", "\\", "é"), g.size(200000)) + "\n\nx\n"
		}},
		{"many fields", func() string {
			return from + strings.Repeat(g.of("X: y\n", "A:\n", "To: a@b\n", "Received: x\n", "DKIM-Signature: v=1\n"), g.size(60000)) + "\nx\n"
		}},
		{"addresses", func() string { return from + "To: " + g.addresses() + "\nCc: " + g.addresses() + "\n\nx\n" }},
		{"author", func() string { return "From: " + g.addresses() + "\nSender: " + g.addresses() + "\n\nx\n" }},
		{"comments", func() string {
			return "From: " + g.comment() + "a@b" + g.comment() + "\nDate: " + g.comment() + "\n\nx\n"
		}},
		{"encoded words", func() string {
			return from + "Subject: " + g.words() + "\nContent-Type: a/b; name=\"" + g.words() + "\"\n\nx\n"
		}},
		{"parameters", func() string {
			return from + "Content-Type: multipart/mixed" + g.parameters() + "\nContent-Disposition: attachment" + g.parameters() + "\n\nx\n"
		}},
		{"signatures", func() string { return g.signatures() + from + plainHeader + "\n" + g.body() }},
		{"signed", func() string { return g.signed(from + plainHeader + "\n" + g.body()) }},
		{"octets", func() string { return from + plainHeader + "\n" + g.octets(g.size(100000)) }},
		{"octets in the header", func() string {
			return from + "X: " + strings.ReplaceAll(g.octets(g.size(10000)), "\n", "\n ") + "\n\nx\n"
		}},
		{"no header", func() string {
			return g.of("", "\n", "x", "\n\n\n", "From \n", "From a\n>From b\n x\n", ":\n", "\x00") + g.octets(g.size(1000))
		}},
		{"body", func() string { return from + plainHeader + "\n" + g.body() }},
		{"results", func() string {
			return strings.Repeat("Authentication-Results: "+g.of("mx.example.org; spf=pass", g.comment(), "\"", ";")+"\n", g.size(2000)) + from + "\n"
		}},
		{"trace", func() string {
			return strings.Repeat(g.of("Delivered-To: alice@example.net\n", "Delivered-To: "+g.addresses()+"\n", "Received: "+g.comment()+"\n"), g.size(90)) + from + "\n"
		}},
		{"mutant", func() string { return g.mutant(from + plainHeader + g.boundaries()) }},
	}
	k := kinds[g.IntN(len(kinds))]
	text = k.make()
	if g.IntN(8) == 0 {
		text = g.mutant(text)
	}
	return k.kind, text[:min(len(text), 25<<20)]
}

func (g *nasty) nesting() string {
	n, kind := g.size(20000), g.IntN(3)
	var b strings.Builder
	for i := range n {
		switch {
		case kind == 0 || kind == 2 && i%2 == 0:
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=%d.\n\n--%d.\n", i, i)
		default:
			b.WriteString("Content-Type: message/rfc822\n\n")
		}
	}
	b.WriteString("\n" + g.body())
	for i := range n * g.IntN(2) {
		fmt.Fprintf(&b, "\n--%d.--\n", n-i-1)
	}
	return b.String()
}

func (g *nasty) boundaries() string {
	name := g.of("b", "", "--", "b b", strings.Repeat("b", 70), strings.Repeat("b", 5000), "é", "b;c", "\x00", "b\"c", "=_b", "'")
	quoted := g.of(name, "\""+name+"\"", "\""+name, name+"; boundary=c", "c; boundary=\""+name+"\"")
	var b strings.Builder
	b.WriteString("MIME-Version: 1.0\nContent-Type: " + g.of("multipart/mixed", "multipart/digest", "Multipart / Mixed", "multipart") + "; boundary=" + quoted + "\n\n")
	params := []string{g.parameters(), g.parameters()} // making them costs more than reading them
	for range g.size(12000) {
		b.WriteString(g.of("--"+name, "--"+name, "--"+name+"x", "--"+name+" ", "--"+name+"--", "--c", "-"+name, " --"+name) + g.of("\n", "\n", "\r\n"))
		b.WriteString(g.of("\n", "", "Content-Type: text/plain"+g.of(params...)+"\n\n", "Content-Type: text/html; charset=x\n\n", "junk\n\n",
			"Content-Transfer-Encoding: base64\n\nAAAA\n", "Content-Type: message/rfc822\n\nFrom: x\n\n") + "x\n")
		if b.Len() > 4<<20 {
			break
		}
	}
	return b.String()
}

func (g *nasty) addresses() string {
	unit := g.of("a@b, ", "<a@b>, ", "A B <a@b>, ", "g: a@b, c@d;, ", "g: ", ", ", "\"x\\\"y\" <a@b>, ", "(c) a (d) @ (e) b (f), ", "a.b@[127.0.0.1], ",
		"<@r,@s:a@b>, ", "=?utf-8?q?x?= <a@b>, ", "é@é, ", "\"a@b\" <c@d>, ", "@", "<", ">", "\"")
	return strings.Repeat(unit, g.size(50000)) + g.of("", "a@x.example")
}

func (g *nasty) comment() string {
	n := g.size(50000)
	return g.of("", strings.Repeat("(", n)+strings.Repeat(")", n*g.IntN(2)), strings.Repeat("(x)", n), "("+strings.Repeat("\\", n), strings.Repeat(")", n))
}

func (g *nasty) words() string {
	return strings.Repeat(g.of("=?utf-8?q?x?= ", "=?utf-8?b?eA==?=", "=?x?q?", "=?", "?=", "=?utf-8?q?=ZZ_?=", "=?utf-8?x?y?=", "=?utf-8?b?"+strings.Repeat("A", 1000)+"?="), g.size(15000))
}

func (g *nasty) parameters() string {
	n := g.size(10000)
	var b strings.Builder
	for i := range n {
		switch g.IntN(6) {
		case 0:
			fmt.Fprintf(&b, "; filename*%d=x", i)
		case 1:
			fmt.Fprintf(&b, "; name*%d*=%%41", n-i)
		case 2:
			b.WriteString(g.of("; name=a.exe", "; name=\"a;b", "; boundary=c", ";", "; =", "; name", "; filename*=utf-8''%zz"))
		case 3:
			fmt.Fprintf(&b, "; p%d=%d", i, i)
		case 4:
			b.WriteString("; name=\"=?utf-8?q?a.exe?=\"")
		default:
			b.WriteString(";\n\tfilename=x")
		}
		if b.Len() > 200000 {
			break
		}
	}
	return b.String()
}

func (g *nasty) signatures() string {
	var b strings.Builder
	for range g.size(400) {
		fmt.Fprintf(&b, "DKIM-Signature: v=1; a=%s; c=%s; d=%s; s=%s; h=%s; l=%d; bh=%s; b=%s\n",
			g.of("rsa-sha256", "ed25519-sha256", "rsa-sha1", "x"), g.of("relaxed/relaxed", "simple/simple", "simple", "x"),
			g.of("x.example", "example", strings.Repeat("a.", 120)+"b", "é"), g.of("s", "t", "u."+strings.Repeat("v", 63)),
			strings.Repeat(g.of("From:", "from:From:", "X:", ":"), g.size(500))+"From", g.IntN(100000),
			base64.StdEncoding.EncodeToString([]byte(g.octets(32))), base64.StdEncoding.EncodeToString([]byte(g.octets(g.size(300)))))
		if b.Len() > 200000 {
			break
		}
	}
	return b.String()
}

// signed has up to three valid signatures, unless it is changed then.
func (g *nasty) signed(text string) string {
	var keys []dkim.Key
	for range 1 + g.IntN(3) {
		keys = append(keys, dkim.Key{Domain: g.domain(), Selector: g.of("k", "k", "t", "y"), Signer: signer})
	}
	signed, err := dkim.Sign(strings.NewReader(text), keys, time.Now())
	if err != nil { // of a header that is none
		return text
	}
	return signed.Fields + text
}

// body is sometimes as large as a message may be.
func (g *nasty) body() string {
	n := 5000
	if g.IntN(25) == 0 {
		n = 25 << 20
	}
	unit := g.of("\n", "\r\n", "x", "x\n", " \t", " \n", "--\n", "--b\n", "begin 644 a.exe\n", "\x00", "é", ".\n", "From x\n", "-", strings.Repeat("x", 998)+"\n")
	return strings.Repeat(unit, n/len(unit))
}

// mutant changes a few places.
func (g *nasty) mutant(text string) string {
	b := []byte(text)
	for range 1 + g.IntN(10) {
		at := g.IntN(len(b) + 1)
		switch g.IntN(4) {
		case 0:
			b = append(b[:at:at], append([]byte(g.of("\x00", "\r", "\n", "\n\n", ":", "\"", "(", "--b\n", "From: eve@x.example\n", "\xff", " ")), b[at:]...)...)
		case 1:
			b = append(b[:at:at], b[min(len(b), at+g.IntN(100)):]...)
		case 2:
			end := min(len(b), at+g.IntN(1000))
			b = append(b[:end:end], b[at:]...)
		default:
			if at < len(b) {
				b[at] = byte(g.Uint32())
			}
		}
	}
	return string(b)
}
