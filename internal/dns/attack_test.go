package dns

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"paperpath/internal/dns/dnstest"
)

// attack is what an evil server does with a question for TXT of x.example.
type attack struct {
	name   string
	answer func(dnstest.Ask)
	want   string // the kind of error; "" is the text "good"
}

const good = `x.example. 60 IN TXT "good"`

// cut answers truncated over UDP, and lets what follows happen over TCP.
func cut(over func(dnstest.Ask)) func(dnstest.Ask) {
	return func(a dnstest.Ask) {
		if a.Network == "udp" {
			m := a.Answer()
			m.Truncated = true
			a.Reply(m)
			return
		}
		over(a)
	}
}

// changed answers well, but for one change.
func changed(change func(*dns.Msg)) func(dnstest.Ask) {
	return func(a dnstest.Ask) {
		m := a.Answer(good)
		change(m)
		a.Reply(m)
	}
}

// head is a header with the question, of a packet that is written by hand.
func head(a dnstest.Ask, answers uint16) []byte {
	b := append([]byte(nil), a.Packet[:12]...)
	b[2], b[3] = 0x80, 0x80 // an answer, which looks further
	binary.BigEndian.PutUint16(b[6:], answers)
	b[10], b[11] = 0, 0 // no EDNS
	name := 12
	for a.Packet[name] != 0 {
		name += int(a.Packet[name]) + 1
	}
	return append(b, a.Packet[12:name+5]...)
}

// rr is a record whose name is given as octets.
func rr(name []byte, kind uint16, data []byte) []byte {
	b := binary.BigEndian.AppendUint16(append([]byte(nil), name...), kind)
	b = append(b, 0, 1, 0, 0, 0, 60)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
}

// attacks are all of them. No server is believed in what it cannot know, and none keeps us.
func attacks() []attack {
	return append(forgeries(), append(monsters(), pointers()...)...)
}

// forgeries say what was not asked, or in the name of others.
func forgeries() []attack {
	return []attack{
		{"as it should be", func(a dnstest.Ask) { a.Reply(a.Answer(good)) }, ""},
		{"another id", changed(func(m *dns.Msg) { m.Id ^= 1 }), "temporary"},
		{"another question", changed(func(m *dns.Msg) { m.Question[0].Name = "y.example." }), "temporary"},
		{"another type asked", changed(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }), "temporary"},
		{"another class asked", changed(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), "temporary"},
		{"two questions", changed(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), "temporary"},
		{"no question", changed(func(m *dns.Msg) { m.Question = nil }), "temporary"},
		{"a question back", changed(func(m *dns.Msg) { m.Response = false }), "temporary"},
		{"an update", changed(func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }), "temporary"},
		{"other classes", func(a dnstest.Ask) { a.Reply(a.Answer(`x.example. 60 CH TXT "bad"`)) }, "NODATA"},
		{"a name with the same begin", func(a dnstest.Ask) {
			a.Reply(a.Answer(`x.example.evil. 60 IN TXT "bad"`, `xx.example. 60 IN TXT "bad"`, `example. 60 IN TXT "bad"`))
		}, "NODATA"},
		{"records of others beside it", func(a dnstest.Ask) {
			m := a.Answer(good, `bank.example. 60 IN TXT "bad"`)
			m.Extra = a.Answer(`x.example. 60 IN TXT "bad"`, `bank.example. 60 IN TXT "bad"`).Answer
			m.Ns = m.Extra
			a.Reply(m)
		}, ""},
		{"NXDOMAIN with records", changed(func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }), "temporary"},
		{"SERVFAIL with records", changed(func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }), "temporary"},
		{"an extended code with records", changed(func(m *dns.Msg) { m.SetEdns0(1232, false); m.Rcode = dns.RcodeBadVers }), "temporary"},
		{"a chain through a name of others", func(a dnstest.Ask) {
			a.Reply(a.Answer("x.example. 60 IN CNAME y.example.", `x.example. 60 IN TXT "bad"`, `y.example. 60 IN TXT "good"`))
		}, ""},
		{"two chains", func(a dnstest.Ask) {
			a.Reply(a.Answer("x.example. 60 IN CNAME y.example.", "x.example. 60 IN CNAME z.example.",
				`y.example. 60 IN TXT "good"`, `z.example. 60 IN TXT "bad"`))
		}, ""},
		{"a circle, in another order", func(a dnstest.Ask) {
			a.Reply(a.Answer("y.example. 60 IN CNAME x.example.", "x.example. 60 IN CNAME y.example."))
		}, "temporary"},
		{"a chain that grows with each question", func(a dnstest.Ask) {
			name := a.Msg.Question[0].Name
			a.Reply(a.Answer(name + " 60 IN CNAME a." + name))
		}, "temporary"},
		{"a chain to a name that nothing is called", func(a dnstest.Ask) {
			a.Reply(a.Answer(`x.example. 60 IN CNAME a\010b\000\.c.example.`))
		}, "NODATA"},
	}
}

// monsters are too large, too slow or without end.
func monsters() []attack {
	return []attack{
		{"truncated for ever", cut(func(a dnstest.Ask) { m := a.Answer(good); m.Truncated = true; a.Reply(m) }), "temporary"},
		{"TCP with another id", cut(changed(func(m *dns.Msg) { m.Id++ })), "temporary"},
		{"TCP of no octets", cut(func(a dnstest.Ask) { a.Packets(nil) }), "temporary"},
		{"TCP shorter than it says", cut(func(a dnstest.Ask) { a.Send([]byte{0xff, 0xff, 1, 2, 3}) }), "temporary"},
		{"TCP that drips", cut(func(a dnstest.Ask) {
			for b := []byte{0xff, 0xff}; a.Send(b[:1]) == nil; time.Sleep(10 * time.Millisecond) {
			}
		}), "temporary"},
		{"64 KiB over TCP", cut(func(a dnstest.Ask) {
			m := a.Answer(good)
			for len(m.Answer) < 255 {
				m.Answer = append(m.Answer, a.Answer(`y.example. 60 IN TXT "` + strings.Repeat("x", 230) + `"`).Answer[0])
			}
			a.Reply(m)
		}), ""},
		{"a TXT of 1,000 strings", cut(func(a dnstest.Ask) {
			a.Reply(a.Answer("x.example. 60 IN TXT" + strings.Repeat(` ""`, 1000) + ` "go" "od"`))
		}), ""},
		{"behind 200 others", cut(func(a dnstest.Ask) {
			m := a.Answer()
			for len(m.Answer) < 200 {
				m.Answer = append(m.Answer, a.Answer(`y.example. 60 IN TXT "x"`).Answer...)
			}
			m.Answer = append(m.Answer, a.Answer(good).Answer...)
			a.Reply(m)
		}), "temporary"},
		{"garbage as fast as it can", func(a dnstest.Ask) {
			junk := []byte(strings.Repeat("\xff", 1200))
			for range 2000 {
				a.Packets(junk)
			}
			a.Reply(a.Answer(good))
		}, ""},
		{"65,535 records that are not there", func(a dnstest.Ask) { a.Packets(head(a, 0xffff)) }, "temporary"},
		{"half a header", func(a dnstest.Ask) { a.Packets(a.Packet[:7]) }, "temporary"},
	}
}

// pointers are names that lead nowhere (RFC 1035 4.1.4).
func pointers() []attack {
	by := func(name []byte, kind uint16, data []byte) func(dnstest.Ask) {
		return func(a dnstest.Ask) { a.Packets(append(head(a, 1), rr(name, kind, data)...)) }
	}
	end := 12 + len("\x01x\x07example\x00") + 4 // where the first record begins
	here := []byte{0xc0, byte(end)}
	return []attack{
		{"a pointer to itself", by(here, dns.TypeTXT, []byte("\x03bad")), "temporary"},
		{"pointers to each other", by(append([]byte{0xc0, byte(end + 2)}, here...), dns.TypeTXT, nil), "temporary"},
		{"a pointer ahead", by([]byte{0xc0, 200}, dns.TypeTXT, []byte("\x03bad")), "temporary"},
		{"a pointer behind the end", by([]byte{0xff, 0xff}, dns.TypeTXT, []byte("\x03bad")), "temporary"},
		{"a label that comes back to itself", by(append([]byte("\x01a"), here...), dns.TypeTXT, []byte("\x03bad")), "temporary"},
		{"a CNAME to itself by a pointer", by([]byte{0xc0, 12}, dns.TypeCNAME, []byte{0xc0, 12}), "temporary"},
		{"a label of a type that is no more", by([]byte{0x41, 1, 2, 0}, dns.TypeTXT, []byte("\x03bad")), "temporary"},
		{"a string longer than its record", by([]byte{0xc0, 12}, dns.TypeTXT, []byte("\xffbad")), "temporary"},
		{"a record longer than the packet", func(a dnstest.Ask) {
			b := append(head(a, 1), rr([]byte{0xc0, 12}, dns.TypeTXT, []byte("\x03bad"))...)
			b[len(b)-6] = 0xff
			a.Packets(b)
		}, "temporary"},
		{"thousands of long names in few octets", cut(func(a dnstest.Ask) {
			long := []byte(strings.Repeat("\x3f"+strings.Repeat("a", 63), 3) + "\x00")
			b := append(head(a, 4001), rr(long, dns.TypeTXT, []byte("\x03bad"))...)
			for range 4000 {
				b = append(b, rr(here, dns.TypeTXT, []byte("\x03bad"))...)
			}
			a.Packets(b[:min(len(b), 65535)])
		}), "temporary"},
	}
}

// TestAttacks: whatever a server sends, the answer is what can be believed of it, soon, and
// without much memory.
func TestAttacks(t *testing.T) {
	for _, x := range attacks() {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			r := newResolver(t, dnstest.Raw(t, x.answer))
			if r.tryTime = 3 * time.Second; x.want == "temporary" {
				r.tryTime = 100 * time.Millisecond
			}
			began := time.Now()
			got, err := r.TXT(t.Context(), "x.example")
			if kindOf(err) != x.want || x.want == "" && (len(got) != 1 || got[0] != "good") {
				t.Errorf("%q, %v; want %q", got, err, x.want)
			}
			if err != nil && (len(err.Error()) > 1000 || strings.ContainsFunc(err.Error(), func(c rune) bool { return c < ' ' || c > '~' })) {
				t.Errorf("an error that nobody can read: %.1000q", err.Error())
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("after %s", took)
			}
		})
	}
}

// A TTL with the highest bit is 0 (RFC 2181 8), and one of years counts as a day: a forged
// answer does not stay.
func TestAttackOnTheClock(t *testing.T) {
	for ttl, want := range map[uint32]time.Duration{1 << 31: floor, 1<<32 - 1: floor, 1<<31 - 1: ceiling, 0: floor} {
		asked := make(chan struct{}, 10)
		r := newResolver(t, dnstest.Raw(t, func(a dnstest.Ask) {
			asked <- struct{}{}
			m := a.Answer(good)
			m.Answer[0].Header().Ttl = ttl
			a.Reply(m)
		}))
		now := time.Now()
		r.Now = func() time.Time { return now }
		for _, later := range []time.Duration{0, want - 1, want} {
			now = now.Add(later)
			if _, err := r.TXT(t.Context(), "x.example"); err != nil {
				t.Fatal(err)
			}
			if later == want-1 {
				now = now.Add(-later)
			}
		}
		if len(asked) != 2 {
			t.Errorf("TTL %d: asked %d times, want once and after %s again", ttl, len(asked), want)
		}
	}
}

// What a server sends never takes much memory, however it answers thousands of names.
func TestAttackOnTheMemory(t *testing.T) {
	big := "60 IN TXT" + strings.Repeat(` "`+strings.Repeat("x", 255)+`"`, 200)
	r := newResolver(t, dnstest.Raw(t, cut(func(a dnstest.Ask) {
		a.Reply(a.Answer(a.Msg.Question[0].Name + " " + big))
	})))
	for n := range 500 { // 25 MB
		if list, err := r.TXT(context.Background(), fmt.Sprintf("%d.example", n)); err != nil || len(list[0]) != 51000 {
			t.Fatal(err)
		}
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if c := r.memory.cache; c.octets > maxOctets || len(c.entries) == 0 || m.HeapAlloc > 64<<20 {
		t.Errorf("%d octets for %d answers; %d MiB in use", c.octets, len(c.entries), m.HeapAlloc>>20)
	}
}
