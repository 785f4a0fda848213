package submit

import (
	"context"
	"io"
	"net"
	"os"

	"paperpath/internal/home"
	"paperpath/internal/listen"
	"paperpath/internal/sendmail"
	"paperpath/internal/status"
)

// Batch is sendmail -bs: SMTP on standard input and output. A client on the network
// (below inetd or tcpserver) gets the role submission; a program of this machine
// gets the role local, through run/submit unless it runs as the owner of the
// spool.
func Batch(ctx context.Context, h *home.Home) error {
	conn, err := listen.Stdin(h.Stdin, h.Stdout)
	if err != nil {
		return err
	}
	defer conn.Close()
	switch {
	case listen.IP(conn.RemoteAddr()).IsValid():
		if err := h.GiveUpRoot(); err != nil {
			return err
		}
		return Stdin(ctx, h, Submission, false, "")
	case !ownsSpool(h):
		return passOn(ctx, h, conn)
	}
	return service(h, Local).One(ctx, conn, false)
}

// passOn passes the session on to run/submit.
func passOn(ctx context.Context, h *home.Home, client net.Conn) error {
	var server *os.File
	err := sendmail.Again(func() context.Context { return ctx }, sendmail.AwayTimeout, func() (err error) {
		server, err = sendmail.Dial(h.Dir)
		return err
	})
	if err != nil {
		return err
	}
	defer server.Close()
	if err := h.GiveUpRoot(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	go func() {
		err := status.Guard(func() error {
			_, _ = io.Copy(server, client)
			return sendmail.CloseWrite(server)
		})
		if err != nil {
			h.Log.Trouble("", "pass on", err)
		}
	}()
	_, err = io.Copy(client, server)
	switch {
	case ctx.Err() != nil:
		return home.ErrInterrupted
	case err != nil:
		return status.Temp("4.4.2", "lost the connection to "+sendmail.Socket, err)
	}
	return nil
}
