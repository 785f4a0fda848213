package submit

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"paperpath/test/bench"
	"paperpath/test/harness"
)

// peer is a sendmail command that sends all mail to another host. It runs from its package.
type peer struct {
	name   string
	files  func(port string) map[string]string // the sink is at this port of 127.0.0.1
	before string                              // for sh: makes the queue in /peer/spool, starts what is to run
}

// dma sends each message itself, in the background.
var dma = peer{
	name: "dma",
	files: func(port string) map[string]string {
		return map[string]string{
			"etc/dma/dma.conf": "SMARTHOST 127.0.0.1\nPORT " + port + "\nMAILNAME bench.example\nNULLCLIENT\n",
			"etc/aliases":      "",
		}
	},
	before: "rm -r /var/spool/dma; ln -s /peer/spool /var/spool/dma; chgrp mail /peer/spool; chmod 2775 /peer/spool; ",
}

// nullmailer has a queue, and a process that sends what is there, one message after the other.
var nullmailer = peer{
	name: "nullmailer",
	files: func(port string) map[string]string {
		return map[string]string{
			"etc/nullmailer/remotes": "127.0.0.1 smtp --port=" + port + "\n",
			"etc/nullmailer/me":      "bench.example\n",
			"etc/mailname":           "bench.example\n",
		}
	},
	before: "rm -r /var/spool/nullmailer; ln -s /peer/spool /var/spool/nullmailer; cd /peer/spool; mkdir queue tmp failed; mkfifo -m 622 trigger; " +
		"chown -R mail:mail .; chmod 750 queue tmp; setpriv --reuid=mail --regid=mail --clear-groups nullmailer-send >/peer/log 2>&1 & ",
}

// remote measures a peer, with a queue of its own, that sends to a sink.
func (c *comparison) remote(p peer, n, atOnce int) (res bench.Result, err error) {
	dir := filepath.Join(c.dir, fmt.Sprintf("%s%d", p.name, c.sent))
	if err := os.MkdirAll(filepath.Join(dir, "spool"), 0o755); err != nil {
		return res, err
	}
	s := bench.Spawner{AtOnce: atOnce, Messages: filepath.Join(dir, "messages"), Inside: "/peer/messages"}
	if _, err := c.messages(s, n, func(i int) string { return fmt.Sprintf("u%d@far.bench.example", i) }); err != nil {
		return res, err
	}
	if err := copyFile(c.spawner, filepath.Join(dir, "spawner")); err != nil {
		return res, err
	}
	sink := bench.NewSink()
	defer sink.Close()
	addr, err := sink.Listen("127.0.0.1")
	if err != nil {
		return res, err
	}
	sink.Await(n)
	overlay := harness.Overlay{Dir: dir, Package: p.name, Files: p.files(harness.Port(addr))}
	s.Enter = func(command ...string) (*exec.Cmd, error) {
		return overlay.Command(append([]string{"/bin/sh", "-c", p.before + `exec "$@"`, "sh"}, command...)...)
	}
	err = s.Run("/peer/spawner", []string{"/usr/sbin/sendmail"}, func(x bench.Spawned) error {
		c.complain(p.name, x)
		await(sink)
		got := sink.Count()
		delivered(&res, n, x, got.Last)
		res.Arrived, res.Twice = got.Recipients, got.Twice
		return nil
	})
	return res, err
}

// await waits until all has come, or nothing more comes.
func await(sink *bench.Sink) {
	for before := -1; sink.Count().Recipients > before; {
		before = sink.Count().Recipients
		select {
		case <-sink.Done():
			return
		case <-time.After(patience):
		}
	}
}

// copyFile copies a program.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return out.Close()
}
