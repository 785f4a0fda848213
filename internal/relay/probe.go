package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/status"
	"paperpath/internal/tlsrule"
)

// Probe is what a session with a host shows that sends no mail.
type Probe struct {
	Host        string       `json:"host"`
	Address     string       `json:"address,omitempty"`     // IP:PORT that answered
	Unreachable []string     `json:"unreachable,omitempty"` // those tried before, and why
	Greeting    string       `json:"greeting,omitempty"`
	Helo        string       `json:"helo,omitempty"` // what we said
	Hello       []string     `json:"hello,omitempty"`
	StartTLS    string       `json:"starttls,omitempty"` // why it failed, or "accepted", or "not offered"
	TLS         *Encryption  `json:"tls,omitempty"`
	Certificate *Certificate `json:"certificate,omitempty"`
	HelloInTLS  []string     `json:"hello_in_tls,omitempty"`
	Quit        string       `json:"quit,omitempty"`
	Outcome     string       `json:"outcome"`
}

// Encryption is what a TLS handshake agreed on.
type Encryption struct {
	Version string `json:"version"`
	Cipher  string `json:"cipher"`
}

// Certificate is the certificate of a host.
type Certificate struct {
	Subject  string    `json:"subject"`
	Names    []string  `json:"names"`
	Issuer   string    `json:"issuer"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Verified bool      `json:"verified"`
	Distrust string    `json:"distrust,omitempty"` // why it is not
	SHA256   string    `json:"sha256"`
	Key      string    `json:"key_sha256"`
}

// Probe opens a session with a host, in TLS if it offers that, and ends it. The error
// says why there was none; what was seen until then is in the Probe.
func (r *Relay) Probe(ctx context.Context, to control.RouteTarget) (*Probe, error) {
	p := &Probe{Host: to.Host}
	err := r.probe(ctx, to, p)
	if p.Outcome = "the session worked"; err != nil {
		p.Outcome = err.Error()
	}
	return p, err
}

func (r *Relay) probe(ctx context.Context, to control.RouteTarget, p *Probe) error {
	port, err := strconv.ParseUint(to.Port, 10, 16)
	if err != nil {
		return status.UsageError("port %s: %v", to.Port, err)
	}
	if p.Helo, err = r.Control.Hostname(); err != nil {
		return err
	}
	ips, err := r.lookups().Addrs(ctx, to.Host)
	switch {
	case errors.Is(err, dns.ErrNoDomain), errors.Is(err, dns.ErrNoData), errors.Is(err, dns.ErrBadName):
		return permanent(550, "5.4.4", "the host %s has no address", to.Host)
	case err != nil:
		return status.Temp(dnsTrouble, err.Error(), nil)
	}
	for _, ip := range ips[:min(len(ips), maxHosts)] {
		h := host{name: to.Host, addr: netip.AddrPortFrom(ip, uint16(port)), routed: true,
			implicit: to.Kind == control.ToTLS}
		rule := tlsrule.Rule{TLSPolicy: control.TLSPolicy{Level: control.TLSMay, Names: to.Host, Where: "probe"}}
		reached, err := r.session(ctx, terms{host: h, helo: p.Helo, rule: rule}, p)
		if reached {
			p.Address = h.addr.String()
			return err
		}
		p.Unreachable = append(p.Unreachable, err.Error())
	}
	return status.Temp("4.4.1", fmt.Sprintf("no address of %s can be reached", to.Host), nil)
}

// session has a session with one address. reached says that there is a server.
func (r *Relay) session(ctx context.Context, t terms, p *Probe) (reached bool, err error) {
	s, f := r.connect(ctx, t)
	switch {
	case f != nil && f.unsafe != nil: // TLS before the greeting
		if f.session.state != nil {
			p.certificate(f.session)
		}
		return true, status.Temp(brokenTLS, fmt.Sprintf("%s: %v", t.host, f.unsafe), nil)
	case f != nil:
		return !f.silent, f.err
	}
	defer func() { p.Quit = s.smtp.Quit().Text }()
	p.Greeting, p.Hello = s.smtp.Greeting().Text, s.smtp.Hello()
	switch {
	case t.host.implicit:
		p.certificate(s)
		return true, nil
	case !s.offers("STARTTLS"):
		p.StartTLS = "not offered"
		return true, nil
	}
	if err := s.smtp.StartTLS(r.tlsConfig(t)); err != nil {
		p.StartTLS = err.Error()
		return true, status.Temp("4.7.5", fmt.Sprintf("%s: %v", t.host, err), nil)
	}
	p.StartTLS, p.HelloInTLS = "accepted", s.smtp.Hello()
	if err := s.secured(r, s.smtp.TLS()); err != nil {
		return true, err
	}
	p.certificate(s)
	return true, nil
}

// certificate notes how a session is encrypted, and who says who the host is.
func (p *Probe) certificate(s *session) {
	p.TLS = &Encryption{Version: tls.VersionName(s.state.Version), Cipher: tls.CipherSuiteName(s.state.CipherSuite)}
	if len(s.state.PeerCertificates) == 0 {
		return
	}
	c := s.state.PeerCertificates[0]
	p.Certificate = &Certificate{Subject: c.Subject.String(), Names: namesIn(c), Issuer: c.Issuer.String(),
		From: c.NotBefore, To: c.NotAfter, Verified: s.distrust == nil}
	p.Certificate.SHA256, p.Certificate.Key = tlsrule.Fingerprints(c)
	if s.distrust != nil {
		p.Certificate.Distrust = s.distrust.Error()
	}
}

// namesIn returns the names that a certificate is for.
func namesIn(c *x509.Certificate) []string {
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// Lines is the probe as text, a `name: value` a line.
func (p *Probe) Lines() []string {
	var list []string
	add := func(name string, values ...string) {
		for _, v := range values {
			if v != "" {
				list = append(list, name+": "+v)
			}
		}
	}
	add("host", p.Host)
	add("unreachable", p.Unreachable...)
	add("address", p.Address)
	add("greeting", p.Greeting)
	if len(p.Hello) > 0 {
		add("we say", "EHLO "+p.Helo)
	}
	add("it says", p.Hello...)
	add("starttls", p.StartTLS)
	if p.TLS != nil {
		add("tls", p.TLS.Version+" "+p.TLS.Cipher)
	}
	if p.Certificate != nil {
		list = append(list, p.Certificate.lines()...)
	}
	add("it says in TLS", p.HelloInTLS...)
	add("quit", p.Quit)
	return append(list, "=> "+p.Outcome)
}

func (c *Certificate) lines() []string {
	verified := "yes"
	if !c.Verified {
		verified = "no: " + c.Distrust
	}
	day := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	return []string{
		"certificate: " + c.Subject,
		"names: " + strings.Join(c.Names, " "),
		"issuer: " + c.Issuer,
		"valid: " + day(c.From) + " to " + day(c.To),
		"verified: " + verified,
		"fingerprint of the certificate: " + c.SHA256,
		"fingerprint of its key: " + c.Key,
	}
}
