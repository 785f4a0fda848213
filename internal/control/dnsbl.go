package control

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"paperpath/internal/addr"
)

// DNSList is a row of control/dnsbl: a list of addresses in the DNS (RFC 5782) and what it
// weighs that an address is on it.
type DNSList struct {
	Zone   string
	Codes  *Codes // nil: every code means that the address is on it
	Weight int    // below 0: a list of good addresses
	Where  string // "control/dnsbl:2"
}

// Codes is a pattern of answers, as Postfix has them: 127.0.0.[2..3;10].
type Codes struct {
	octets [4][]octets
	text   string
}

// octets are those from first to last.
type octets struct{ first, last byte }

// String is the pattern as it was written.
func (p *Codes) String() string { return p.text }

// Match reports whether the answer is one of the pattern's.
func (p *Codes) Match(answer netip.Addr) bool {
	if !answer.Is4() {
		return false
	}
	for i, b := range answer.As4() {
		in := false
		for _, o := range p.octets[i] {
			in = in || o.first <= b && b <= o.last
		}
		if !in {
			return false
		}
	}
	return true
}

const (
	maxLists     = 30  // rows
	maxWeight    = 100 // of a list, in either direction
	codesExample = "127.0.0.[2..4;10]"
)

func dnsblTable() table[DNSList] {
	return table[DNSList]{
		name: "dnsbl",
		form: "a row is `zone: weight` or `zone=codes: weight`, such as `bl.example.org=" + codesExample + ": 2`",
		key: func(text string) string {
			zone, _, _ := strings.Cut(strings.Trim(text[:max(keyEnd(text), 0)], " \t"), "=")
			if addr.CheckDomain(zone) != nil {
				return ""
			}
			return addr.FoldDomain(zone)
		},
		repeats: true,
		parse: func(where, text string) ([]entry[DNSList], error) {
			l, err := parseDNSList(where, text)
			return []entry[DNSList]{{l.Zone, l}}, err
		},
	}
}

func dnsblFile(c *Control) file[contents[DNSList]] { return dnsblTable().file(c) }

func parseDNSList(where, text string) (DNSList, error) {
	l := DNSList{Where: where}
	key, value, err := keyAndValue(strings.Trim(text, " \t"))
	if err != nil {
		return l, err
	}
	zone, codes, some := strings.Cut(key, "=")
	if err := addr.CheckDomain(zone); err != nil {
		return l, fmt.Errorf("the zone %q %w", zone, err)
	}
	l.Zone = addr.FoldDomain(zone)
	if some {
		if l.Codes, err = parseCodes(codes); err != nil {
			return l, fmt.Errorf("the codes %q %w", codes, err)
		}
	}
	l.Weight, err = strconv.Atoi(value)
	if err != nil || l.Weight == 0 || l.Weight > maxWeight || l.Weight < -maxWeight {
		return l, fmt.Errorf("%q is not a weight (a whole number from -%d to %d, but not 0)", value, maxWeight, maxWeight)
	}
	return l, nil
}

// parseCodes parses four octets, each a number, `*`, or numbers and ranges in brackets.
func parseCodes(s string) (*Codes, error) {
	p := &Codes{text: s}
	for i := range p.octets {
		one := s
		end := strings.IndexByte(s, '.')
		if strings.HasPrefix(s, "[") {
			if end = strings.IndexByte(s, ']'); end < 0 {
				return nil, errors.New("have no closing bracket")
			}
			end++
		}
		switch {
		case i < 3 && (end < 0 || end >= len(s) || s[end] != '.'):
			return nil, errors.New("are not four numbers with dots (" + codesExample + ")")
		case i < 3:
			one, s = s[:end], s[end+1:]
		}
		var err error
		if p.octets[i], err = parseOctets(one); err != nil {
			return nil, err
		}
	}
	if !p.loopback() {
		return nil, errors.New("do not begin with 127: no other answer counts (RFC 5782 2.3)")
	}
	return p, nil
}

func (p *Codes) loopback() bool {
	first := p.octets[0]
	return len(first) == 1 && first[0] == octets{127, 127}
}

func parseOctets(s string) (list []octets, err error) {
	if s == "*" {
		return []octets{{0, 255}}, nil
	}
	inside, bracket := strings.CutPrefix(s, "[")
	if !bracket {
		n, err := parseOctet(s)
		return []octets{{n, n}}, err
	}
	inside, bracket = strings.CutSuffix(inside, "]")
	if !bracket {
		return nil, fmt.Errorf("have %q behind the last bracket", s[strings.IndexByte(s, ']')+1:])
	}
	for part := range strings.SplitSeq(inside, ";") {
		from, to, between := strings.Cut(part, "..")
		var o octets
		if o.first, err = parseOctet(from); err != nil {
			return nil, err
		}
		if o.last = o.first; between {
			if o.last, err = parseOctet(to); err != nil {
				return nil, err
			}
		}
		if o.last < o.first {
			return nil, fmt.Errorf("have the range %q, whose end is before its beginning", part)
		}
		list = append(list, o)
	}
	return list, nil
}

func parseOctet(s string) (byte, error) {
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil || len(s) > 1 && s[0] == '0' {
		return 0, fmt.Errorf("have %q instead of a number from 0 to 255", s)
	}
	return byte(n), nil
}

// DNSLists returns the lists of addresses that are asked, in the order of the rows. A
// broken row is a list that is not asked.
func (c *Control) DNSLists() ([]DNSList, error) {
	t, _, err := load(c, dnsblFile(c))
	if err != nil {
		return nil, err
	}
	list := t.in().list()
	if len(list) > maxLists {
		return nil, failFile("dnsbl", "more than %d rows", maxLists)
	}
	return list, nil
}
