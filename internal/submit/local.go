package submit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/home"
	"paperpath/internal/listen"
	"paperpath/internal/message"
	"paperpath/internal/sendmail"
	"paperpath/internal/smtpd"
	"paperpath/internal/status"
)

// local is an SMTP session of the role local. The client is a user of this
// machine, whom the kernel names; the sendmail face would accept the same from
// them.
type local struct {
	server   *server
	who      localUser
	acceptor acceptor
	domain   string
	size     int64 // octets of a message

	helo       string
	submission *sendmail.Submission
	accepted   int
	used       bool // for more than EHLO
}

// localUserOn finds the user at the other end: of a Unix socket by its credentials
// (unix(7)), of a pipe or a terminal it is the one who runs this process.
func localUserOn(conn net.Conn, listening bool) (localUser, error) {
	cred, err := listen.PeerCred(conn)
	switch {
	case err != nil:
		return localUser{}, fmt.Errorf("get the peer's credentials: %w", err)
	case cred != nil:
		return localUser{uid: int(cred.Uid), via: "unix"}, nil
	case listening || listen.IP(conn.RemoteAddr()).IsValid():
		return localUser{}, errors.New("the role local needs a Unix socket or standard input")
	}
	return localUser{uid: os.Getuid(), via: "stdin"}, nil
}

// openLocal makes the session of a local user, and adapts cfg to it.
func (s *server) openLocal(client *home.Client, cfg *smtpd.Config) (*local, error) {
	who, err := localUserOn(client.Conn, client.Listening)
	if err != nil {
		return nil, status.Temp("4.3.0", "cannot identify the peer", err)
	}
	domain, err := ourDomain(s.control)
	if err != nil {
		return nil, err
	}
	sess := &local{server: s, who: who, domain: domain, size: cfg.MaxSize,
		acceptor: acceptor{control: s.control, log: s.log, spool: s.spool, host: s.hostname,
			taps: taps{s.control, s.copied, s.now}}}
	cfg.Auth, cfg.TLS = false, nil
	cfg.MaxSize *= 2 // it counts CR, the sendmail face does not
	cfg.Keywords = []string{sendmail.KeyDomain + " " + domain, sendmail.KeyUser + " " + who.name(),
		sendmail.KeyBytes + " " + strconv.FormatInt(sess.size, 10)}
	return sess, nil
}

// serveLocal speaks one session of the role local.
func (s *server) serveLocal(ctx context.Context, client *home.Client) error {
	cfg, err := s.config(client)
	if err != nil {
		return err
	}
	sess, err := s.openLocal(client, &cfg)
	if err != nil {
		return err
	}
	err = smtpd.Serve(ctx, client.Conn, cfg, func(*smtpd.Conn) smtpd.Session { return sess })
	if sess.used {
		s.log.Disconnected(s.ending(err), sess.accepted, sess.who.client(sess.helo))
	}
	return nil
}

// Hello notes the client's name.
func (s *local) Hello(_ context.Context, helo string, _ bool) error {
	s.helo = helo
	return nil
}

// Mail opens a transaction.
func (s *local) Mail(_ context.Context, from addr.Address, p smtpd.MailParams) error {
	s.used = true
	m := &sendmail.Submission{Host: s.acceptor.host, Domain: s.domain, Now: s.server.now(),
		Read: s.acceptor.readHeader}
	m.Identity.Sender, m.Identity.Author.Address = from, from
	if from.IsNull() {
		m.Identity.Author.Address = addr.Address{Local: s.who.name(), Domain: s.domain}
	}
	m.From = sendmail.Path{Addr: from.String(), Params: p.Words()}
	s.submission = m
	if err := s.acceptor.checkSender(s.who.submitter(), from); err != nil {
		return s.refuse("", err)
	}
	return nil
}

// Rcpt adds a recipient. None is refused: one that does not exist bounces later,
// as from the sendmail face.
func (s *local) Rcpt(_ context.Context, to addr.Address, p smtpd.RcptParams) error {
	s.submission.Notify = p.Words(sendmail.Qualified(to, s.domain))
	s.submission.Add([]addr.Address{to})
	return nil
}

// Data accepts the message.
func (s *local) Data(_ context.Context, r io.Reader) (string, error) {
	buf := s.server.spool.Buffer()
	defer buf.Close()
	keys, err := s.take(r, buf)
	if err != nil {
		return "", s.refuse(strings.Join(addresses(envelope(sendmail.Envelope{To: s.submission.To})), " "), err)
	}
	s.accepted++
	return "accepted as " + strings.Join(keys, " "), nil
}

func (s *local) take(r io.Reader, buf *message.Buffer) ([]string, error) {
	if _, err := io.Copy(buf, io.LimitReader(r, s.size+1)); err != nil {
		return nil, err
	}
	if buf.Size() > s.size {
		return nil, status.TooLarge(s.size)
	}
	return s.acceptor.accept(s.submission, s.who, s.helo, buf)
}

// Reset forgets the transaction.
func (s *local) Reset(context.Context) { s.submission = nil }

// refuse writes the event and returns err.
func (s *local) refuse(to string, err error) error {
	refusal(s.server.log, s.submission.From.Addr, to, err, s.who.client(s.helo))
	return err
}
