package pop3

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"time"

	"paperpath/internal/maillog"
)

// Handover is what a process has to know to go on with a session after the
// login.
type Handover struct {
	Account      Account
	Client       maillog.Client
	Capabilities []string // CAPA's answer
	MaxErrors    int
	Idle         time.Duration
	Undelete     time.Duration
	Ageless      bool // the age of what is in the trash is not to be believed
}

// Resume holds a session from the login on, which another process has seen.
func Resume(ctx context.Context, conn net.Conn, h Handover, log *maillog.Log, now func() time.Time) error {
	cfg := Config{Log: log, Client: h.Client, Now: now, MaxErrors: h.MaxErrors, IdleTimeout: h.Idle,
		Undelete: h.Undelete, Ages: func() bool { return !h.Ageless }}
	return serve(ctx, conn, cfg, func(s *session) error {
		s.announced = h.Capabilities
		if s.drop = s.openMailbox(h.Account); s.drop == nil {
			return errRefused
		}
		s.ok("%d messages", len(s.drop.messages))
		return s.commands()
	})
}

// maxFirstReply bounds the wait for the answer to a login.
const maxFirstReply = 2 * time.Minute

// handOver lets a process of the mailbox's owner hold the session from here on.
// It returns nil where the login is refused: then the client may try again.
func (s *session) handOver(account Account) error {
	h := Handover{Account: account, Client: s.client, MaxErrors: s.cfg.MaxErrors, Idle: s.cfg.IdleTimeout,
		Undelete: s.cfg.Undelete, Capabilities: s.afterLogin()}
	// The record of the clock is not the owner's to write.
	h.Ageless = h.Undelete > 0 && s.cfg.Ages != nil && !s.cfg.Ages()
	owner, logged, err := s.cfg.HandOver(h, s.cfg.Log)
	if err != nil {
		return s.trouble("start a session", err)
	}
	defer logged()
	owner.SetReadDeadline(time.Now().Add(maxFirstReply))
	fromOwner := bufio.NewReader(owner)
	reply, err := fromOwner.ReadString('\n')
	if err != nil {
		return s.trouble("start a session", err)
	}
	s.wire.print("%s", reply)
	if !strings.HasPrefix(reply, "+OK") {
		return nil
	}
	owner.SetReadDeadline(time.Time{})
	s.cfg.Gate.entered(account.Login, s.cfg.LoginDelay)
	s.splice(owner, fromOwner)
	return errHandedOver
}

// afterLogin is CAPA's answer in a session that another process holds.
func (s *session) afterLogin() (lines []string) {
	for _, line := range s.capabilities() {
		if line != "STLS" {
			lines = append(lines, line)
		}
	}
	return lines
}

// splice carries octets both ways until the owner's process ends the session.
// It is that which keeps the times; the client is only waited for longer here.
func (s *session) splice(owner *net.UnixConn, fromOwner io.Reader) {
	s.wire.flush()
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer s.wire.close()
		s.wire.copyOut(fromOwner)
	}()
	buf := make([]byte, inSize)
	for {
		s.wire.allow(time.Now().Add(2 * s.cfg.IdleTimeout))
		n, err := s.wire.in.Read(buf)
		if n > 0 {
			owner.SetWriteDeadline(time.Now().Add(2 * s.cfg.WriteTimeout))
			if _, failed := owner.Write(buf[:n]); failed != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	owner.CloseWrite()
	<-over
}

// copyOut sends what r gives to the client.
func (w *wire) copyOut(r io.Reader) {
	buf := make([]byte, 2*chunkSize)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			w.conn.SetWriteDeadline(time.Now().Add(w.write))
			if _, failed := w.rw.Write(buf[:n]); failed != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
