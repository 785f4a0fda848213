package smtpd

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/auth"
	"paperpath/internal/clock"
	"paperpath/internal/status"
)

// script is a connection whose client says what is in pieces, one a read, and
// closes its side then.
type script struct {
	pieces [][]byte
	out    bytes.Buffer
	writes int
	ended  bool // the client's end was read
}

func (s *script) Read(b []byte) (int, error) {
	for len(s.pieces) > 0 && len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	if len(s.pieces) == 0 {
		s.ended = true
		return 0, io.EOF
	}
	n := copy(b, s.pieces[0])
	s.pieces[0] = s.pieces[0][n:]
	return n, nil
}

func (s *script) Write(b []byte) (int, error)      { s.writes++; return s.out.Write(b) }
func (*script) Close() error                       { return nil }
func (*script) LocalAddr() net.Addr                { return &net.TCPAddr{} }
func (*script) RemoteAddr() net.Addr               { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 1} }
func (*script) SetDeadline(time.Time) error        { return nil }
func (*script) SetReadDeadline(t time.Time) error  { return nil }
func (*script) SetWriteDeadline(t time.Time) error { return nil }

// fake is a Session that remembers. What it does is in the names of senders
// and recipients.
type fake struct {
	conn  *Conn
	helo  string
	login string
	open  bool
	from  string
	words string
	to    []string
	mail  []string
	datas []error // what Data ended with
	calls []string
}

func (f *fake) Hello(_ context.Context, helo string, _ bool) error {
	f.calls = append(f.calls, "hello "+helo)
	f.helo = helo
	return behave(helo)
}

func (f *fake) Password(_ context.Context, login, password string) error {
	if login == "busy" {
		return errors.New("a table broke: s3cr3t")
	}
	if login != "alice" || password != "secret" {
		return &status.Error{Exit: status.NotAllowed, Reply: 535, Enhanced: "5.7.8", Text: "no"}
	}
	return nil
}

// Keys fit no password.
func (f *fake) Keys(_ context.Context, login string) (auth.Keys, error) {
	if login == "busy" {
		return auth.Keys{}, errors.New("a table broke: s3cr3t")
	}
	return auth.Keys{Iterations: 4096, Salt: []byte("salt"), StoredKey: []byte("x"), ServerKey: []byte("y")}, nil
}

func (f *fake) Proved(context.Context, string, bool) error {
	return &status.Error{Exit: status.NotAllowed, Reply: 535, Enhanced: "5.7.8", Text: "no"}
}

func (f *fake) Certificate(_ context.Context, login string, cert *x509.Certificate) (string, error) {
	if login != "" && login != cert.Subject.CommonName {
		return "", &status.Error{Exit: status.NotAllowed, Reply: 535, Enhanced: "5.7.8", Text: "no"}
	}
	return cert.Subject.CommonName, nil
}

func (f *fake) Authenticated(_ context.Context, mechanism, login string, err error) error {
	if err == nil {
		f.login = login
	}
	f.calls = append(f.calls, "auth "+mechanism+" "+login)
	return err
}

func (f *fake) Mail(_ context.Context, from addr.Address, p MailParams) error {
	f.calls = append(f.calls, "mail "+from.String()+" "+p.Body)
	f.words = ""
	if p.UTF8 {
		f.words = " SMTPUTF8"
	}
	if w := p.Words(); w != "" {
		f.words += " " + w
	}
	if err := behave(from.Local); err != nil && !strings.HasPrefix(from.Local, "data-") {
		return err
	}
	if f.open {
		panic("MAIL in a transaction")
	}
	f.open, f.from, f.to = true, from.String()+f.words, nil
	return nil
}

func (f *fake) Rcpt(ctx context.Context, to addr.Address, p RcptParams) error {
	if to.Local == "late" { // in a bubble of fake time
		clock.Wait(ctx, 10*time.Second)
	}
	if err := behave(to.Local); err != nil {
		return err
	}
	words := p.Words(to)
	if words != "" {
		words = " " + words
	}
	f.to = append(f.to, to.String()+words)
	return nil
}

func (f *fake) Data(_ context.Context, r io.Reader) (string, error) {
	local, _, _ := strings.Cut(f.from, "@")
	if what, ok := strings.CutPrefix(local, "data-"); ok {
		return "unread", behave(what)
	}
	text, err := io.ReadAll(r)
	f.datas = append(f.datas, err)
	if err != nil {
		return "", err
	}
	f.mail = append(f.mail, strings.Join(append([]string{f.from}, f.to...), " ")+" | "+string(text))
	return "stored", nil
}

func (f *fake) Reset(context.Context) { f.open = false }

// behave is what a name does.
func behave(name string) error {
	switch name {
	case "unknown", "late":
		return &status.Error{Exit: status.NoMailbox, Enhanced: "5.1.1", Text: "no such mailbox"}
	case "busy":
		return errors.New("a table broke: s3cr3t")
	case "bye":
		return &status.Error{Exit: status.TempFail, Reply: 421, Enhanced: "4.7.0", Text: "go away"}
	case "lines":
		return &status.Error{Reply: 550, Enhanced: "5.7.1", Text: "one\ntwo\r\x1b[1m\xc3\xa9"}
	case "success":
		return &status.Error{Reply: 250, Enhanced: "2.0.0", Text: "fine"}
	case "class":
		return &status.Error{Reply: 550, Enhanced: "4.1.1", Text: "no"}
	case "panic":
		panic("on purpose")
	}
	return nil
}
