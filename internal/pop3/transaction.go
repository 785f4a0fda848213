package pop3

import (
	"errors"
	"io"
	"os"
	"strconv"
)

// noop is NOOP (RFC 1939 5).
func (s *session) noop(string) error {
	s.ok("still here")
	return nil
}

// stat is STAT (RFC 1939 5). Deleted messages do not count.
func (s *session) stat(string) error {
	n, octets := s.drop.count()
	s.ok("%d %d", n, octets)
	return nil
}

// list is LIST (RFC 1939 5).
func (s *session) list(arg string) error {
	if arg != "" {
		return s.listOne(arg)
	}
	n, octets := s.drop.count()
	s.ok("%d messages (%d octets)", n, octets)
	return s.scanListing(func(line []byte, m *message) []byte {
		return strconv.AppendInt(line, m.size, 10)
	})
}

func (s *session) listOne(arg string) error {
	m, n, err := s.message(arg)
	if err != nil {
		return s.refuse(err)
	}
	if !s.drop.ensureSize(m) {
		return s.refuse(errGone)
	}
	s.ok("%d %d", n, m.size)
	return nil
}

// uidl is UIDL (RFC 1939 7).
func (s *session) uidl(arg string) error {
	if arg == "" {
		s.ok("unique ids follow")
		return s.scanListing(func(line []byte, m *message) []byte {
			return append(line, m.id...)
		})
	}
	m, n, err := s.message(arg)
	if err != nil {
		return s.refuse(err)
	}
	s.ok("%d %s", n, m.id)
	return nil
}

// scanListing sends a line for every message: its number and what column adds.
func (s *session) scanListing(column func(line []byte, m *message) []byte) error {
	s.wire.growOut()
	err := s.drop.each(func(n int, m *message) error {
		line := strconv.AppendInt(s.wire.Out, int64(n), 10)
		line = column(append(line, ' '), m)
		s.wire.Out = append(line, crlf...)
		return s.wire.spill()
	})
	s.wire.Out = append(s.wire.Out, stop...)
	return err
}

// dele is DELE (RFC 1939 5). It marks the message; QUIT deletes it.
func (s *session) dele(arg string) error {
	if s.drop.account.ReadOnly {
		s.fail("", "this login is read-only") // no response code means that it always will be
		return nil
	}
	m, n, err := s.message(arg)
	if err != nil {
		return s.refuse(err)
	}
	m.deleted = true
	s.ok("message %d will be deleted", n)
	return nil
}

// rset is RSET (RFC 1939 5).
func (s *session) rset(string) error {
	s.drop.reset()
	n, octets := s.drop.count()
	s.ok("%d messages (%d octets)", n, octets)
	return nil
}

// retr is RETR (RFC 1939 5).
func (s *session) retr(arg string) error {
	m, _, err := s.message(arg)
	if err != nil {
		return s.refuse(err)
	}
	f, err := s.drop.openToSend(m)
	if err != nil {
		return s.openFailed(m, err)
	}
	defer f.Close()
	s.ok("%d octets", m.size)
	// The limit keeps out what is appended meanwhile, and saves the read at the end.
	if err := s.send(io.LimitReader(f, m.Actual), nil); err != nil {
		return s.sendFailed(m, err)
	}
	m.sent = true
	s.drop.retrieved++
	s.drop.octets += m.size
	return nil
}

// top is TOP (RFC 1939 7). The message stays unread.
func (s *session) top(arg string) error {
	number, lines, err := s.topArguments(arg)
	if err != nil {
		return s.refuse(err)
	}
	m, _, err := s.drop.number(number)
	if err != nil {
		return s.refuse(err)
	}
	f, err := s.drop.open(m)
	if err != nil {
		return s.openFailed(m, err)
	}
	defer f.Close()
	s.ok("top of the message follows")
	if err := s.send(f, &top{lines: lines}); err != nil {
		return s.sendFailed(m, err)
	}
	return nil
}

var errTopLines = errors.New("TOP takes a message number and a number of lines")

func (s *session) topArguments(arg string) (number, lines int, err error) {
	number, rest, err := parseNumber(arg)
	if err != nil {
		return 0, 0, err
	}
	lines, rest, err = parseNumber(rest)
	if err != nil || rest != "" {
		return 0, 0, errTopLines
	}
	return number, lines, nil
}

// openFailed answers a command whose message could not be opened.
func (s *session) openFailed(m *message, err error) error {
	if errors.Is(err, errGone) {
		return s.refuse(err)
	}
	s.cfg.Log.Trouble(m.Key, "open message", err)
	s.fail("SYS/TEMP", "the message cannot be read")
	return nil
}

// sendFailed ends a session in which a multi-line reply could not be read or sent to
// its end. The reply itself cannot say so: only closing the connection keeps clients
// from taking a part for the whole.
func (s *session) sendFailed(m *message, err error) error {
	var sending *os.PathError
	if errors.As(err, &sending) {
		s.cfg.Log.Trouble(m.Key, "read message", err)
	}
	return err
}

// send sends a message as a multi-line reply: all of it, or its top.
func (s *session) send(f io.Reader, limit *top) error {
	var e encoder
	buf := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(buf)
	s.wire.growOut()
	for {
		n, err := f.Read(buf[:])
		piece, done := buf[:n], false
		if limit != nil {
			n, done = limit.keep(piece)
			piece = piece[:n]
		}
		s.wire.Out = e.append(s.wire.Out, piece)
		if err := s.wire.spill(); err != nil {
			return err
		}
		switch {
		case done || errors.Is(err, io.EOF):
			s.wire.Out = e.finish(s.wire.Out)
			return nil
		case err != nil:
			return err
		}
	}
}

// quit is QUIT (RFC 1939 4 and 6). Everything that the client asked for is sent
// before anything is deleted: if that fails, it may not have arrived, and nothing is
// deleted. The mailbox is unlocked before the reply, so that the client's next session
// can have it at once.
func (s *session) quit(string) error {
	if s.drop == nil {
		s.ok("goodbye")
		return errQuit
	}
	if err := s.wire.Flush(); err != nil {
		return err
	}
	s.drop.markSeen()
	err := s.drop.update(s.cfg.Undelete, s.cfg.Now(), s.cfg.Ages)
	s.drop.release()
	if s.drop.removed > 0 && s.cfg.RoomMade != nil {
		s.cfg.RoomMade(s.drop.account.Login)
	}
	if err != nil {
		s.cfg.Log.Trouble("", "delete messages", err)
		s.fail("SYS/TEMP", "some deleted messages not removed")
		return errQuit
	}
	s.ok("goodbye")
	return errQuit
}
