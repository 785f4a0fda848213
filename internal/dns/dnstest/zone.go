package dnstest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// maxFollowed bounds the CNAMEs that the server follows in one answer.
const maxFollowed = 20

// zone is what the server knows. It does not change.
type zone struct {
	records map[string][]dns.RR // by name in lower case, with the trailing dot
	faults  map[string]faults   // by name, and by name and type ("x. TXT")
}

// faults are the words of a line.
type faults []string

func (f faults) has(words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(f, "!"+w) })
}

// delay returns the time of !delay.
func (f faults) delay() time.Duration {
	for _, w := range f {
		if text, ok := strings.CutPrefix(w, "!delay="); ok {
			d, _ := time.ParseDuration(text) // parse has tried it
			return d
		}
	}
	return 0
}

// parse reads the lines of a zone.
func parse(text string) (zone, error) {
	z := zone{records: map[string][]dns.RR{}, faults: map[string]faults{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if err := z.add(line); err != nil {
			return zone{}, fmt.Errorf("zone: %q: %w", line, err)
		}
	}
	return z, nil
}

func (z *zone) add(line string) error {
	if strings.Contains(line, " !") && !strings.Contains(line, `"`) {
		return z.addFaults(strings.Fields(line))
	}
	p := dns.NewZoneParser(strings.NewReader(line), ".", "")
	p.SetDefaultTTL(60)
	rr, ok := p.Next()
	if !ok {
		return cmpErr(p.Err())
	}
	name := strings.ToLower(rr.Header().Name)
	z.records[name] = append(z.records[name], rr)
	return nil
}

func cmpErr(err error) error {
	if err == nil {
		return errors.New("no record")
	}
	return err
}

func (z *zone) addFaults(words []string) error {
	key := dns.CanonicalName(words[0])
	if words = words[1:]; words[0][0] != '!' {
		key += " " + strings.ToUpper(words[0])
		words = words[1:]
	}
	for _, w := range words {
		if text, ok := strings.CutPrefix(w, "!delay="); ok {
			if _, err := time.ParseDuration(text); err != nil {
				return err
			}
		} else if !slices.Contains(known(), w) {
			return fmt.Errorf("%s is no word of dnstest", w)
		}
	}
	z.faults[key] = append(z.faults[key], words...)
	return nil
}

func known() []string {
	return strings.Fields("!silent !servfail !refused !formerr !notimp !nxdomain !cut !cuttwice !cutclose " +
		"!garbage !wrongid !onlywrongid !wrongname !noedns !referral !stray !nofollow !ad")
}

// query is one question and what is done about it.
type query struct {
	msg    *dns.Msg
	name   string // as it was asked
	kind   string // A, MX, ...
	faults faults
	zone   zone
	tcp    bool
}

// question reads a packet; ok is false if it is none.
func (z zone) question(packet []byte, tcp bool) (q query, ok bool) {
	m := new(dns.Msg)
	if m.Unpack(packet) != nil || len(m.Question) != 1 || m.Response {
		return q, false
	}
	name, kind := m.Question[0].Name, dns.TypeToString[m.Question[0].Qtype]
	owner := dns.CanonicalName(name)
	f := slices.Concat(z.faults[owner], z.faults[owner+" "+kind])
	return query{msg: m, name: name, kind: kind, faults: f, zone: z, tcp: tcp}, true
}

// packets returns what is sent, in turn.
func (q query) packets() [][]byte {
	f := q.faults
	if f.has("silent") || f.has("cutclose") && q.tcp {
		return nil
	}
	var list [][]byte
	if f.has("garbage") {
		list = append(list, []byte{}, []byte("x"), []byte(strings.Repeat("\xff", 600)))
	}
	if f.has("wrongid", "onlywrongid") {
		m := q.reply(dns.RcodeNameError)
		m.Id++
		list = append(list, q.pack(m))
	}
	if f.has("wrongname") {
		m := q.reply(dns.RcodeNameError)
		m.Question[0].Name = "another.example."
		list = append(list, q.pack(m))
	}
	if f.has("onlywrongid") {
		return list
	}
	return append(list, q.pack(q.whole()))
}

// whole is the answer.
func (q query) whole() *dns.Msg {
	for word, code := range map[string]int{"servfail": dns.RcodeServerFailure, "refused": dns.RcodeRefused,
		"formerr": dns.RcodeFormatError, "notimp": dns.RcodeNotImplemented, "nxdomain": dns.RcodeNameError} {
		if q.faults.has(word) {
			return q.reply(code)
		}
	}
	if q.faults.has("noedns") && q.msg.IsEdns0() != nil {
		return q.reply(dns.RcodeFormatError)
	}
	m := q.reply(dns.RcodeSuccess)
	m.AuthenticatedData = q.faults.has("ad")
	if q.faults.has("referral") {
		m.RecursionAvailable = false
		return m
	}
	q.fill(m)
	if q.faults.has("stray") {
		for i, rr := range m.Answer {
			m.Answer[i] = dns.Copy(rr)
			m.Answer[i].Header().Name = "another.example."
		}
	}
	if q.faults.has("cuttwice") || q.faults.has("cut", "cutclose") && !q.tcp {
		m.Truncated, m.Answer = true, nil
	}
	return m
}

func (q query) reply(code int) *dns.Msg {
	m := new(dns.Msg).SetRcode(q.msg, code)
	m.Question = slices.Clone(m.Question)
	m.RecursionAvailable = true
	return m
}

// fill puts the records in, following CNAMEs.
func (q query) fill(m *dns.Msg) {
	name, qtype := q.name, q.msg.Question[0].Qtype
	for range maxFollowed {
		records, exists := q.zone.at(name)
		if !exists {
			m.Rcode = dns.RcodeNameError
			break
		}
		next := ""
		for _, rr := range records {
			if alias, ok := rr.(*dns.CNAME); ok && qtype != dns.TypeCNAME {
				m.Answer, next = append(m.Answer, rr), alias.Target
			} else if rr.Header().Rrtype == qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		if next == "" || q.faults.has("nofollow") {
			break
		}
		name = next
	}
	if n := len(m.Answer); n == 0 || m.Rcode != dns.RcodeSuccess || m.Answer[n-1].Header().Rrtype != qtype {
		m.Ns = q.zone.soa(name)
	}
}

// at returns the records of a name, or of the wildcard that stands for it, with the name
// as their owner.
func (z zone) at(name string) (list []dns.RR, exists bool) {
	key := strings.ToLower(name)
	list, exists = z.records[key]
	if !exists && !z.above(key) {
		list, exists = z.wildcard(key)
	} else {
		exists = true
	}
	owned := make([]dns.RR, len(list))
	for i, rr := range list {
		owned[i] = dns.Copy(rr)
		owned[i].Header().Name = name
	}
	return owned, exists
}

// wildcard returns the records that stand for a name that is not there: those of the
// nearest name above it that is (RFC 4592 3.3.1).
func (z zone) wildcard(name string) ([]dns.RR, bool) {
	for _, parent, _ := strings.Cut(name, "."); parent != ""; _, parent, _ = strings.Cut(parent, ".") {
		if list, ok := z.records["*."+parent]; ok {
			return list, true
		}
		if _, ok := z.records[parent]; ok || z.above(parent) {
			break
		}
	}
	return nil, false
}

// above reports whether names with records lie below name.
func (z zone) above(name string) bool {
	for owner := range z.records {
		if strings.HasSuffix(owner, "."+name) && !strings.HasPrefix(owner, "*.") {
			return true
		}
	}
	return false
}

// soa returns the SOA of the zone that a name is in, if there is one.
func (z zone) soa(name string) []dns.RR {
	for key := strings.ToLower(name); key != ""; _, key, _ = strings.Cut(key, ".") {
		for _, rr := range z.records[key] {
			if rr.Header().Rrtype == dns.TypeSOA {
				return []dns.RR{rr}
			}
		}
	}
	return nil
}

// pack returns the octets, cut where they are too many for UDP (RFC 6891 6.2.3).
func (q query) pack(m *dns.Msg) []byte {
	size := dns.MaxMsgSize
	if !q.tcp {
		size = dns.MinMsgSize
		if opt := q.msg.IsEdns0(); opt != nil {
			size = max(size, int(opt.UDPSize()))
		}
	}
	m.Compress = true
	if m.Len() > size {
		m.Answer, m.Truncated = nil, true
	}
	b, err := m.Pack()
	if err != nil {
		panic(err) // the zone holds what cannot be sent: a fault of the test
	}
	return b
}
