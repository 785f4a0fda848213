package submit

import (
	"context"
	"io"
	"net"

	"paperpath/internal/listen"
	"paperpath/internal/program"
)

// Batch is sendmail -bs: SMTP on standard input and output. A network behind
// it (inetd, tcpserver) is what the role submission is for; a program of this
// machine is a local submitter, who without owning the spool is led to
// run/submit.
func Batch(ctx context.Context, f *program.Frame) error {
	conn, err := listen.Stdin(f.Stdin, f.Stdout)
	if err != nil {
		return err
	}
	defer conn.Close()
	switch {
	case listen.IP(conn.RemoteAddr()).IsValid():
		if err := f.GiveUpRoot(); err != nil {
			return err
		}
		return Stdin(ctx, f, Submission, false, "")
	case !ownsSpool(f.Home):
		return pass(ctx, f, conn)
	}
	return onStdin(ctx, f, Local, conn, false, nil)
}

// pass lets the client speak with run/submit.
func pass(ctx context.Context, f *program.Frame, client net.Conn) error {
	server, err := dial(f.Home)
	if err != nil {
		return err
	}
	defer server.Close()
	if err := f.GiveUpRoot(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	go func() {
		defer func() { _ = recover() }() // copies bytes; the session ends either way
		_, _ = io.Copy(server, client)
		if c, ok := server.(*net.UnixConn); ok {
			_ = c.CloseWrite()
		}
	}()
	_, err = io.Copy(client, server)
	switch {
	case ctx.Err() != nil:
		return interrupted
	case err != nil:
		return lost(err)
	}
	return nil
}
