package faces

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"

	"paperpath/test/harness"
)

// TestProxyBeforeTLS: the header comes in clear, then TLS begins with the
// first octet; on sockets of our own and below tcpserver.
func TestProxyBeforeTLS(t *testing.T) {
	s := newSite(t, "tcpserver")
	s.set("proxyfrom: 127.0.0.7")
	smtps, pop3s, smtpBelow, popBelow := harness.FreeAddr(), harness.FreeAddr(), harness.FreeAddr(), harness.FreeAddr()
	s.run(programs.Path("mailsubmit"), "smtp", "--listen-tls", smtps)
	s.run(programs.Path("pop3d"), "--listen-tls", pop3s)
	below := func(addr string, args ...string) {
		s.run("tcpserver", append([]string{"-HR", "-l", "0", "127.0.0.1", harness.Port(addr)}, args...)...)
	}
	below(smtpBelow, programs.Path("mailsubmit"), "smtp", "--tls")
	below(popBelow, programs.Path("pop3d"), "--tls")
	for i, addr := range []string{smtps, smtpBelow, pop3s, popBelow} {
		client := fmt.Sprintf("192.0.2.%d", i+1)
		c := s.inTLS(s.proxied(addr, client).Conn)
		if i < 2 {
			s.holds(s.submit(c), "["+client+"]", " with ESMTPS id ")
			continue
		}
		s.fetch(c)
		s.event("event=fetched", "client="+client, "tls=")
	}
}

// inTLS begins TLS on a connection.
func (s *site) inTLS(conn net.Conn) *harness.Conversation {
	s.t.Helper()
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	if err := secure.Handshake(); err != nil {
		s.t.Fatalf("%v\n%s", err, s.Describe())
	}
	return harness.Converse(secure)
}

// TestProxyOnStandardInput: from a listed peer a header is needed there too,
// and its client has no clear-text login although the proxy is near.
func TestProxyOnStandardInput(t *testing.T) {
	s := newSite(t, "tcpserver")
	s.set("proxyfrom: 127.0.0.7")
	smtp, pop3 := harness.FreeAddr(), harness.FreeAddr()
	for addr, args := range map[string][]string{smtp: {"mailsubmit", "smtp"}, pop3: {"pop3d"}} {
		s.run("tcpserver", append([]string{"-HR", "-l", "0", "127.0.0.1", harness.Port(addr), programs.Path(args[0])}, args[1:]...)...)
	}
	s.holds(s.submit(s.proxied(smtp, "192.0.2.9")), "[192.0.2.9]")
	c := s.dial(smtp, false)
	c.Send("EHLO x")
	if line, err := c.Line(); !strings.HasPrefix(line, "421 4.7.0") {
		t.Errorf("without a header: %q, %v", line, err)
	}
	for client, want := range map[string]string{"192.0.2.9": "-ERR", "127.0.0.1": "+OK"} {
		c := s.proxied(pop3, client)
		c.Line()
		c.Send("USER " + alice)
		if line, err := c.Line(); !strings.HasPrefix(line, want) {
			t.Errorf("USER in clear from %s: %q, %v", client, line, err)
		}
	}
}
