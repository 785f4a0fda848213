// Reference is the SMTP server that make bench compares others with: one process, which writes
// each message into a Maildir, syncs it once, renames it and says yes. It has no queue, checks
// nothing, and looks nothing up: no server that keeps its promise can do less.
//
//	reference ADDR DIRECTORY
//
// The mailbox of user@anything is DIRECTORY/user/Maildir.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: reference ADDR DIRECTORY")
		os.Exit(64)
	}
	l, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(75)
	}
	s := &server{dir: os.Args[2]}
	for {
		c, err := l.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(75)
		}
		go s.serve(c)
	}
}

// server counts messages, for their names.
type server struct {
	dir string
	n   atomic.Int64
}

// session is one connection.
type session struct {
	*server
	r       *bufio.Reader
	w       *bufio.Writer
	from    string
	to      string
	message []byte
}

func (s *server) serve(c net.Conn) {
	defer c.Close()
	g := &session{server: s, r: bufio.NewReaderSize(c, 32<<10), w: bufio.NewWriter(c)}
	reply := "220 reference ESMTP"
	for {
		fmt.Fprintf(g.w, "%s\r\n", reply)
		if g.r.Buffered() == 0 && g.w.Flush() != nil || strings.HasPrefix(reply, "221") {
			g.w.Flush()
			return
		}
		line, err := g.r.ReadString('\n')
		if err != nil {
			return
		}
		reply = g.command(strings.TrimSpace(line))
	}
}

// command returns the reply to a command.
func (g *session) command(line string) string {
	verb, rest, _ := strings.Cut(line, " ")
	_, path, _ := strings.Cut(rest, "<")
	path, _, _ = strings.Cut(path, ">")
	switch strings.ToUpper(verb) {
	case "EHLO":
		return "250-reference\r\n250-PIPELINING\r\n250 8BITMIME"
	case "MAIL":
		g.from, g.to = path, ""
		return "250 2.1.0 ok"
	case "RCPT":
		g.to = path
		return "250 2.1.5 ok"
	case "DATA":
		return g.data()
	case "NOOP":
		return "250 2.0.0 ok"
	case "QUIT":
		return "221 2.0.0 bye"
	}
	return "502 5.5.1 no such command"
}

// data takes a message, unstuffs its dots and stores it.
func (g *session) data() string {
	fmt.Fprintf(g.w, "354 go on\r\n")
	if g.w.Flush() != nil {
		return "421 4.3.0 gone"
	}
	g.message = fmt.Appendf(g.message[:0], "Return-Path: <%s>\nDelivered-To: %s\n", g.from, g.to)
	for {
		line, err := g.r.ReadSlice('\n')
		if err != nil {
			return "421 4.3.0 gone"
		}
		line = bytes.TrimSuffix(line, []byte("\r\n"))
		if string(line) == "." {
			break
		}
		g.message = append(append(g.message, bytes.TrimPrefix(line, []byte("."))...), '\n')
	}
	if err := g.store(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return "451 4.3.0 not stored"
	}
	return "250 2.0.0 stored"
}

// store is the one durable write.
func (g *session) store() error {
	user, _, _ := strings.Cut(g.to, "@")
	box := filepath.Join(g.dir, filepath.Base(user), "Maildir")
	name := fmt.Sprintf("%d.%d.reference", os.Getpid(), g.n.Add(1))
	f, err := os.OpenFile(filepath.Join(box, "tmp", name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, bytes.NewReader(g.message)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(filepath.Join(box, "tmp", name), filepath.Join(box, "new", name))
}
