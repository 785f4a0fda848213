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

// Handover is what another process must know to continue a session after the login.
type Handover struct {
	Account      Account
	Client       maillog.Client
	Capabilities []string // the answer to CAPA
	MaxErrors    int
	Idle         time.Duration
	Undelete     time.Duration
	Ageless      bool // the age of what is in the trash cannot be trusted
}

// Resume serves a session whose client has logged in at another process.
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

// maxFirstReply is how long the owner's process may take to open the mailbox.
const maxFirstReply = 2 * time.Minute

// handOver hands the session over to a process of the mailbox's owner. It returns nil
// if that refuses the login: the client may try again.
func (s *session) handOver(account Account) error {
	h := Handover{Account: account, Client: s.client, MaxErrors: s.cfg.MaxErrors, Idle: s.cfg.IdleTimeout,
		Undelete: s.cfg.Undelete, Capabilities: s.afterLogin()}
	// The owner's process cannot write run/clock, so it is asked here.
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
	if s.cfg.RoomMade != nil {
		s.cfg.RoomMade(account.Login)
	}
	return errHandedOver
}

// afterLogin is the answer to CAPA in the process that continues the session.
func (s *session) afterLogin() (lines []string) {
	for _, line := range s.capabilities() {
		if line != "STLS" {
			lines = append(lines, line)
		}
	}
	return lines
}

// splice copies octets both ways until the owner's process ends the session. That
// process enforces the timeouts; the deadlines here are longer.
func (s *session) splice(owner *net.UnixConn, fromOwner io.Reader) {
	s.wire.Flush()
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer s.wire.Close()
		s.wire.copyOut(fromOwner)
	}()
	buf := make([]byte, inSize)
	for {
		s.wire.allow(time.Now().Add(2 * s.cfg.IdleTimeout))
		n, err := s.wire.Read(buf)
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
