package dns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// This file alone knows the library that packs and unpacks messages.

// Type is the type of a record.
type Type uint16

// The types that are asked for.
const (
	TypeA     = Type(dns.TypeA)
	TypeCNAME = Type(dns.TypeCNAME)
	TypePTR   = Type(dns.TypePTR)
	TypeMX    = Type(dns.TypeMX)
	TypeTXT   = Type(dns.TypeTXT)
	TypeAAAA  = Type(dns.TypeAAAA)
)

// String returns the name of the type.
func (t Type) String() string { return dns.Type(t).String() }

// types are those of answers that are read.
func types() []Type { return []Type{TypeA, TypeAAAA, TypeMX, TypePTR, TypeTXT} }

// typeOf returns the type called name, one of those that are read.
func typeOf(name string) (Type, bool) {
	for _, t := range types() {
		if t.String() == name {
			return t, true
		}
	}
	return 0, false
}

// Record is a record of an answer. The strings are whatever a stranger wrote.
type Record struct {
	Type Type
	TTL  time.Duration
	Host string     // MX, PTR, CNAME: as the library writes names, in lower case, with the last dot
	Pref uint16     // MX
	Addr netip.Addr // A, AAAA
	Text string     // TXT: the strings joined

	owner string // as Host
}

// reply is what a server said.
type reply struct {
	id            uint16
	rcode         int
	truncated     bool
	authoritative bool
	recursion     bool // it looks further
	secure        bool // the AD bit
	records       []Record
	more          bool          // there are records that were not looked at
	soa           bool          // there is one
	negative      time.Duration // for how long it says that there is nothing (RFC 2308 5)
}

// RCODEs that are told apart.
const (
	noError    = dns.RcodeSuccess
	formErr    = dns.RcodeFormatError
	nxDomain   = dns.RcodeNameError
	notImpl    = dns.RcodeNotImplemented
	maxParsed  = 200 // records of an answer that are looked at
	maxPlainly = 512 // octets of an answer without EDNS
)

func rcodeName(n int) string {
	if s, ok := dns.RcodeToString[n]; ok {
		return s
	}
	return fmt.Sprintf("RCODE%d", n)
}

// query is a question as it is sent.
type query struct {
	id     uint16
	name   string // without the last dot
	qtype  Type
	packet []byte
}

// newQuery packs a question with a random id. It asks to be told whether the answer is
// authentic (RFC 6840 5.7).
func newQuery(name string, qtype Type, edns bool) (query, error) {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), uint16(qtype))
	m.AuthenticatedData = true
	if edns {
		m.SetEdns0(udpSize, false)
	}
	packet, err := m.Pack()
	return query{id: m.Id, name: name, qtype: qtype, packet: packet}, err
}

var (
	errOther = errors.New("answer to another question")
	errShort = errors.New("answer with fewer records than it says")
)

// read unpacks the answer to q: the same id and the same question.
func (q query) read(packet []byte) (*reply, error) {
	m := new(dns.Msg)
	if err := m.Unpack(packet); err != nil {
		return nil, err
	}
	if m.Id != q.id || !m.Response || m.Opcode != dns.OpcodeQuery || len(m.Question) != 1 {
		return nil, errOther
	}
	asked := m.Question[0]
	if asked.Qtype != uint16(q.qtype) || asked.Qclass != dns.ClassINET ||
		!strings.EqualFold(strings.TrimSuffix(asked.Name, "."), q.name) {
		return nil, errOther
	}
	// The library takes what ends too early for whole, and thus for the answer that there is nothing.
	if !m.Truncated && len(m.Answer) != int(binary.BigEndian.Uint16(packet[6:])) {
		return nil, errShort
	}
	r := &reply{id: m.Id, rcode: m.Rcode, truncated: m.Truncated, authoritative: m.Authoritative,
		recursion: m.RecursionAvailable, secure: m.AuthenticatedData, more: len(m.Answer) > maxParsed}
	for _, rr := range m.Answer[:min(len(m.Answer), maxParsed)] {
		if record, ok := recordOf(rr); ok {
			r.records = append(r.records, record)
		}
	}
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			r.soa, r.negative = true, min(seconds(soa.Hdr.Ttl), seconds(soa.Minttl))
		}
	}
	return r, nil
}

// seconds is a TTL; one with the highest bit counts as 0 (RFC 2181 8).
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}

// recordOf is a record of one of the types that are read; ok is false for others.
func recordOf(rr dns.RR) (r Record, ok bool) {
	h := rr.Header()
	r = Record{Type: Type(h.Rrtype), TTL: seconds(h.Ttl), owner: strings.ToLower(h.Name)}
	switch rr := rr.(type) {
	case *dns.A:
		r.Addr, ok = netip.AddrFromSlice(rr.A)
		r.Addr = r.Addr.Unmap()
	case *dns.AAAA:
		r.Addr, ok = netip.AddrFromSlice(rr.AAAA)
		r.Addr = r.Addr.Unmap()
	case *dns.MX:
		r.Host, r.Pref, ok = strings.ToLower(rr.Mx), rr.Preference, true
	case *dns.PTR:
		r.Host, ok = strings.ToLower(rr.Ptr), true
	case *dns.CNAME:
		r.Host, ok = strings.ToLower(rr.Target), true
	case *dns.TXT:
		r.Text, ok = unescape(strings.Join(rr.Txt, "")), true
	}
	return r, ok && h.Class == dns.ClassINET
}

// ReverseName returns the name of an address in the reverse DNS, without the last dot.
func ReverseName(ip netip.Addr) string {
	name, _ := dns.ReverseAddr(ip.Unmap().WithZone("").String()) // fails for what is no address
	return strings.TrimSuffix(name, ".")
}

// unescape turns the \DDD and \X that the library uses for octets which are special in a
// zone file into these octets.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if i++; i+2 < len(s) && isDigit(s[i]) && isDigit(s[i+1]) && isDigit(s[i+2]) {
			b.WriteByte(byte(int(s[i]-'0')*100 + int(s[i+1]-'0')*10 + int(s[i+2]-'0')))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
