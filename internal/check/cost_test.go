//go:build !race

package check

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dkim"
	"paperpath/internal/dns"
	"paperpath/internal/dns/dnstest"
	"paperpath/internal/message"
	"paperpath/internal/spool"
)

// usualMail is a session with a message of 4 KiB that has a signature by RSA with 2048 bits,
// from a host whose name, SPF and DMARC are in order, and a resolver that knows it all.
func usualMail(t testing.TB) (*Checker, Subject) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	record, err := dkim.Record(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	server := dnstest.New(t, strings.Join([]string{
		`x.example. TXT "v=spf1 ip4:192.0.2.0/24 -all"`,
		`x.example. MX 10 mail.x.example.`,
		`_dmarc.x.example. TXT "v=DMARC1; p=reject"`,
		`mail.x.example. A 192.0.2.7`,
		`mail.x.example. TXT "v=spf1 a -all"`,
		`7.2.0.192.in-addr.arpa. PTR mail.x.example.`,
		`s._domainkey.x.example. TXT "` + record[:200] + `" "` + record[200:] + `"`,
	}, "\n"))
	c := settled(t, "resolver", server.Addr+"\n")
	head := "From: Bob <bob@x.example>\nTo: Alice <alice@example.net>\nSubject: the usual\n" +
		"Date: " + time.Now().UTC().Format("Mon, 2 Jan 2006 15:04:05 -0700") + "\nMessage-ID: <1@x.example>\n" +
		"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
	text := head + "\n" + strings.Repeat(strings.Repeat("z", 63)+"\n", (4096-len(head))/64)
	s, err := dkim.Sign(strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n")),
		[]dkim.Key{{Domain: "x.example", Selector: "s", Signer: key}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	sub := peer
	sub.Client, sub.Helo = netip.MustParseAddr("192.0.2.7"), "mail.x.example"
	sub.Body = spool.BytesBody([]byte(strings.ReplaceAll(s.Fields, "\r\n", "\n") + text))
	k := checkerOf(c, nil)
	k.DNS = dns.New(c)
	return k, sub
}

// settled is settings that nobody has changed for a while: what has just been written is looked
// at more often.
func settled(t testing.TB, files ...string) *control.Control {
	return control.Open(settings(t, files...).Home(), func() time.Time { return time.Now().Add(time.Minute) })
}

// usualSession judges it as a session does, and returns what is not as it should be.
func usualSession(ctx context.Context, k *Checker, sub Subject) string {
	s := k.SessionIn(k.Control.View(control.Moment))
	defer s.Close()
	begin := sub
	begin.Body = nil
	if err := s.Mail(ctx, begin); err != nil {
		return err.Error()
	}
	v := s.Message(ctx, sub, nil)
	if !v.Passes() {
		return v.Reason()
	}
	for _, f := range v.Found {
		if f.Err != nil || f.Fails {
			return f.Name + ": " + f.Result + " " + f.Reason
		}
	}
	return ""
}

// mostCost is what all default checks may cost for such a message on any machine that runs
// this. What they do cost is in BenchmarkUsualMail.
const mostCost = 300 * time.Microsecond

// What that may allocate, on any machine.
const (
	mostAllocations = 300
	mostOctets      = 40 << 10
)

// All checks of an ordinary message cost less than that. Of some tries the best counts:
// the machine may be busy.
func TestCostOfUsualMail(t *testing.T) {
	k, sub := usualMail(t)
	const batch = 50
	best := time.Hour
	for range 20 {
		before := used(t)
		for range batch {
			if wrong := usualSession(t.Context(), k, sub); wrong != "" {
				t.Fatal(wrong)
			}
		}
		best = min(best, (used(t)-before)/batch)
	}
	// On a machine that others use, processor time is worth less; how much, one signature says.
	most := max(mostCost, 8*verification(t))
	t.Logf("%v of processor time, of at most %v", best, most)
	if best > most {
		t.Errorf("all checks cost %v for a message of %d octets", best, sub.Body.Size())
	}
}

// Allocations do not depend on the machine.
func TestAllocationsForUsualMail(t *testing.T) {
	k, sub := usualMail(t)
	const times = 200
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n := testing.AllocsPerRun(times, func() {
		if wrong := usualSession(t.Context(), k, sub); wrong != "" {
			t.Fatal(wrong)
		}
	})
	runtime.ReadMemStats(&after)
	octets := (after.TotalAlloc - before.TotalAlloc) / (times + 1)
	t.Logf("%.0f allocations of %d octets, of at most %d of %d", n, octets, mostAllocations, mostOctets)
	if n > mostAllocations || octets > mostOctets || n < 50 {
		t.Errorf("all checks take %.0f allocations of %d octets", n, octets)
	}
}

// verification is the processor time that one RSA signature with 2048 bits costs now, alone.
func verification(t testing.TB) time.Duration {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(nil)
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	before := used(t)
	const times = 500
	for range times {
		if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], sig); err != nil {
			t.Fatal(err)
		}
	}
	return (used(t) - before) / times
}

func BenchmarkUsualMail(b *testing.B) {
	k, sub := usualMail(b)
	usualSession(b.Context(), k, sub)
	before := used(b)
	b.ReportAllocs()
	for b.Loop() {
		if wrong := usualSession(b.Context(), k, sub); wrong != "" {
			b.Fatal(wrong)
		}
	}
	b.ReportMetric(float64(used(b)-before)/float64(b.N)/1000, "cpu-µs/op")
	b.ReportMetric(float64(verification(b))/1000, "rsa-µs") // of that, at least
}

// BenchmarkLeast is what nobody can do without for that message: its header is read, its text
// is hashed, and the signature is verified.
func BenchmarkLeast(b *testing.B) {
	_, sub := usualMail(b)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	text := make([]byte, sub.Body.Size())
	if _, err := sub.Body.ReadAt(text, 0); err != nil {
		b.Fatal(err)
	}
	sum := sha256.Sum256(text)
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		b.Fatal(err)
	}
	before := used(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := message.Read(bytes.NewReader(text), 1<<20, 100); err != nil {
			b.Fatal(err)
		}
		sum := sha256.Sum256(text)
		if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], sig); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(used(b)-before)/float64(b.N)/1000, "cpu-µs/op")
}
