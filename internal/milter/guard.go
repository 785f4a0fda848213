package milter

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/emersion/go-milter"
)

// Bounds of what a milter may send, beside the new body.
const (
	maxPacket  = 256 << 10 // octets of one packet; libmilter sends 64 KiB at most
	maxAnswer  = 2 << 20   // octets of all packets of one answer
	maxPackets = 20000     // of one answer: changes, and news of progress
)

// Codes of the protocol that the client does not know.
const (
	codeProgress    = 'p' // SMFIR_PROGRESS
	codeShutdown    = '4' // SMFIR_SHUTDOWN
	codeConnFail    = 'f' // SMFIR_CONN_FAIL
	codeSkip        = byte(milter.ActSkip)
	codeReplaceBody = byte(milter.ActReplBody)
)

// Answers that end a connection.
var (
	errShutdown = errors.New("the filter closes the session")
	errConnFail = errors.New("the filter reports a failed connection")
	errClosed   = errors.New("the filter closed the connection")
)

// guard is the connection below the client. It lets whole packets through, within bounds,
// and sets the deadlines itself: the client's begin anew with every packet.
type guard struct {
	net.Conn
	filter Filter
	may    milter.OptAction
	can    milter.OptProtocol

	at      Stage
	until   time.Time // the end of the answer under way
	octets  int       // of the answer under way
	packets int
	in      []byte // what the client has not read yet of a packet
	skip    bool   // the milter has seen enough of the body
	body    *newBody
}

// begin is called before each command. The function that it returns is called after it.
func (g *guard) begin(ctx context.Context, at Stage) (end func() bool) {
	g.at, g.octets, g.packets, g.in = at, 0, 0, nil
	g.until = time.Now().Add(max(g.filter.End, g.filter.Read))
	return context.AfterFunc(ctx, func() { g.Conn.Close() })
}

// SetReadDeadline does nothing: Read sets it.
func (g *guard) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: Write sets it.
func (g *guard) SetWriteDeadline(time.Time) error { return nil }

func (g *guard) Write(p []byte) (int, error) {
	if err := g.Conn.SetWriteDeadline(time.Now().Add(g.filter.Send)); err != nil {
		return 0, err
	}
	return g.Conn.Write(p)
}

// Read returns octets of packets that the client understands.
func (g *guard) Read(p []byte) (int, error) {
	for len(g.in) == 0 {
		if err := g.packet(); err != nil {
			return 0, plain(err)
		}
	}
	n := copy(p, g.in)
	g.in = g.in[n:]
	return n, nil
}

// plain says in words that a connection ended.
func plain(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errClosed
	}
	return err
}

// packet reads the next packet. If the client shall see it, it is in g.in then.
func (g *guard) packet() error {
	wait := g.filter.Read
	if g.at == AtEnd {
		wait = g.filter.End
	}
	if until := time.Now().Add(wait); until.Before(g.until) {
		g.Conn.SetReadDeadline(until)
	} else {
		g.Conn.SetReadDeadline(g.until)
	}
	var head [5]byte
	if _, err := io.ReadFull(g.Conn, head[:]); err != nil {
		return err
	}
	size, code := binary.BigEndian.Uint32(head[:4]), head[4]
	if g.packets++; size == 0 || g.packets > maxPackets {
		return fmt.Errorf("a packet of %d octets, the %dth of an answer", size, g.packets)
	}
	size-- // the code is read
	if code == codeReplaceBody && g.at == AtEnd && g.body != nil {
		return g.body.take(g.Conn, int64(size))
	}
	if g.octets += int(min(size, maxPacket)); size > maxPacket || g.octets > maxAnswer {
		return fmt.Errorf("a packet of %d octets, %d in this answer", size, g.octets)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(g.Conn, data); err != nil {
		return err
	}
	return g.pass(code, data)
}

// pass decides what the client sees of a packet.
func (g *guard) pass(code byte, data []byte) error {
	switch {
	case code == codeShutdown:
		return errShutdown
	case code == codeConnFail:
		return errConnFail
	case code == codeProgress && len(data) == 0:
		return nil
	case code == codeSkip && g.at == AtBody && g.can&milter.OptSkip != 0:
		g.skip, code = true, byte(milter.ActContinue)
	case code == byte(milter.CodeOptNeg):
		if err := g.agreed(data); err != nil {
			return err
		}
	}
	g.in = binary.BigEndian.AppendUint32(g.in[:0:0], uint32(len(data))+1)
	g.in = append(append(g.in, code), data...)
	return nil
}

// agreed refuses a milter that wants what was not offered: its answers would be
// misunderstood.
func (g *guard) agreed(data []byte) error {
	if len(data) < 12 {
		return nil // the client says so
	}
	may := milter.OptAction(binary.BigEndian.Uint32(data[4:]))
	can := milter.OptProtocol(binary.BigEndian.Uint32(data[8:]))
	if extra := may &^ g.may; extra != 0 {
		return fmt.Errorf("it wants actions that were not offered (%#x)", uint32(extra))
	}
	if extra := can &^ g.can; extra != 0 {
		return fmt.Errorf("it wants a protocol that was not offered (%#x)", uint32(extra))
	}
	return nil
}
