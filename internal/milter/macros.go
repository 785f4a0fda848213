package milter

import (
	"net/netip"
	"strconv"
	"strings"
)

// macros are names and values in turn, with the names that Sendmail and Postfix use:
// those of more than one letter stand in braces.
type macros []string

// set adds a macro whose value is known.
func (m *macros) set(name, value string) {
	if value != "" {
		*m = append(*m, name, clean(value))
	}
}

// clean returns s without what would end a string of the protocol.
func clean(s string) string { return strings.ReplaceAll(s, "\x00", " ") }

// unknown is the name of a host that has none which leads back to it.
const unknown = "unknown"

// Peer is who opened the session, and where.
type Peer struct {
	Host    string         // ours: j, {daemon_name} without another one
	Daemon  string         // {daemon_name}: what the server is for
	Version string         // v
	Local   netip.AddrPort // {daemon_addr}, {daemon_port}
	Client  netip.AddrPort // {client_addr}, {client_port}; the zero value for a local submitter
	Name    string         // {client_name}: its PTR name, confirmed; "" if there is none
	PTR     string         // {client_ptr}: its PTR name, confirmed or not
}

// localhost stands for a submitter of this machine, who has no address, as with Postfix.
var localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// with fills in what is known of every client.
func (p Peer) with() Peer {
	if !p.Client.IsValid() {
		p.Client, p.Name, p.PTR = netip.AddrPortFrom(localhost, 0), "localhost", "localhost"
	}
	p.Client = netip.AddrPortFrom(p.Client.Addr().Unmap(), p.Client.Port())
	if p.Name == "" {
		p.Name = unknown
	}
	if p.PTR == "" {
		p.PTR = unknown
	}
	if p.Daemon == "" {
		p.Daemon = p.Host
	}
	return p
}

func (p Peer) macros() macros {
	var m macros
	addr := p.Client.Addr().WithZone("").String()
	m.set("j", p.Host)
	m.set("{daemon_name}", p.Daemon)
	if p.Local.IsValid() {
		m.set("{daemon_addr}", p.Local.Addr().Unmap().String())
		m.set("{daemon_port}", strconv.Itoa(int(p.Local.Port())))
		m.set("{if_addr}", p.Local.Addr().Unmap().String())
		m.set("{if_name}", p.Host)
	}
	m.set("v", p.Version)
	shown := addr
	if p.Client.Addr().Is6() {
		shown = "IPv6:" + addr // as an address literal (RFC 5321 4.1.3)
	}
	m.set("_", p.Name+" ["+shown+"]")
	m.set("{client_addr}", addr)
	m.set("{client_name}", p.Name)
	m.set("{client_ptr}", p.PTR)
	m.set("{client_port}", strconv.Itoa(int(p.Client.Port())))
	m.set("{client_resolve}", p.resolve())
	return m
}

// resolve says whether the client's name leads back to it.
func (p Peer) resolve() string {
	switch {
	case p.Name != unknown:
		return "OK"
	case p.PTR == unknown:
		return "FAIL"
	}
	return "FORGED"
}

// Greeting is the client's HELO or EHLO, and its TLS.
type Greeting struct {
	Name        string
	TLSVersion  string // {tls_version}, "TLSv1.3"
	Cipher      string // {cipher}
	CipherBits  int    // {cipher_bits}
	CertSubject string // {cert_subject} of the client
	CertIssuer  string // {cert_issuer} of the client
}

func (g Greeting) macros() macros {
	var m macros
	m.set("{helo}", g.Name)
	if g.TLSVersion == "" {
		return m
	}
	m.set("{tls_version}", g.TLSVersion)
	m.set("{cipher}", g.Cipher)
	if g.CipherBits > 0 {
		m.set("{cipher_bits}", strconv.Itoa(g.CipherBits))
	}
	m.set("{cert_subject}", g.CertSubject)
	m.set("{cert_issuer}", g.CertIssuer)
	return m
}

// Sender is the reverse path, with what is known of the submitter.
type Sender struct {
	Addr     string   // "" for <>
	Params   []string // of MAIL
	Key      string   // i: of the entry that the message may become
	AuthType string   // {auth_type}: the mechanism; "" without a login
	Login    string   // {auth_authen}
	Author   string   // {auth_author}: as whom they act
}

func (s Sender) macros() macros {
	var m macros
	m.set("i", s.Key)
	m.set("{auth_type}", s.AuthType)
	m.set("{auth_authen}", s.Login)
	m.set("{auth_author}", s.Author)
	m.set("{mail_addr}", s.Addr)
	m.set("{mail_host}", domainOf(s.Addr))
	m.set("{mail_mailer}", "smtp")
	return m
}

// Recipient is one recipient, before any alias.
type Recipient struct {
	Addr   string
	Params []string // of RCPT
	Local  bool     // at a domain of ours
}

func (r Recipient) macros(key string) macros {
	var m macros
	m.set("i", key)
	m.set("{rcpt_addr}", r.Addr)
	m.set("{rcpt_host}", domainOf(r.Addr))
	if r.Local {
		m.set("{rcpt_mailer}", "local")
	} else {
		m.set("{rcpt_mailer}", "smtp")
	}
	return m
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// envelope is what a milter knows of the message under way.
type envelope struct {
	open bool // it knows the sender
	key  string
	to   []string
	bad  int // recipients that were refused
}

// macros for the end of the header and of the message.
func (e envelope) macros(size int64) macros {
	var m macros
	m.set("i", e.key)
	m.set("{nrcpts}", strconv.Itoa(len(e.to)))
	m.set("{nbadrcpts}", strconv.Itoa(e.bad))
	m.set("{msg_size}", strconv.FormatInt(size, 10))
	return m
}
