package mta

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"paperpath/test/bench"
	"paperpath/test/harness"
)

// What the table calls the servers that run from their packages.
const (
	EximName      = "Exim"
	OpenSMTPDName = "OpenSMTPD"
)

// overlaid runs a server from its package, with its queue in DIR/spool and its mailboxes in
// DIR/boxes, which are /peer/spool and /peer/boxes for it: nothing of them is in memory.
func overlaid(m *MTA, overlay harness.Overlay, users []string, command string) (err error) {
	if err := os.MkdirAll(filepath.Join(overlay.Dir, "log"), 0o755); err != nil {
		return err
	}
	if m.Boxes, err = bench.NewBoxes(filepath.Join(overlay.Dir, "boxes"), users, owner); err != nil {
		return err
	}
	m.inside = true
	m.log = func() string {
		var all strings.Builder
		names, _ := filepath.Glob(filepath.Join(overlay.Dir, "log", "*"))
		for _, name := range names {
			text, _ := os.ReadFile(name)
			all.Write(text[max(0, len(text)-4000):])
		}
		return all.String()
	}
	var cmd *exec.Cmd
	if cmd, err = overlay.Command("/bin/sh", "-c", command); err != nil {
		return err
	}
	if m.Server, err = bench.Start(m.Name, m.Addr, cmd, Greets); err != nil {
		return fmt.Errorf("%w\n%s", err, m.Log())
	}
	return nil
}

// eximSettings are those of Exim. Every SMTP session may deliver at once, as many as the client
// has sessions may be there, and be idle for as long as it takes to open them; a queue runner looks
// for what was left. %s are its port and the domain.
const eximSettings = `primary_hostname = exim.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = %s
log_file_path = /peer/log/%%s
spool_directory = /var/spool/exim4
keep_environment =
notifier_socket =
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 0
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 500
smtp_receive_timeout = 1h
message_size_limit = 50M
tls_advertise_hosts = *
tls_certificate = /etc/ssl/peer.pem
acl_smtp_rcpt = accept
acl_smtp_data = accept
begin routers
boxes:
  driver = accept
  domains = %s
  local_parts = lsearch;/etc/exim4/boxes
  transport = boxes
begin transports
boxes:
  driver = appendfile
  maildir_format
  directory = /peer/boxes/$local_part_data/Maildir
  user = 61234
  group = 61234
begin retry
* * F,1h,1s
`

// Exim runs Exim below dir.
func Exim(dir, certificate string, users []string) (*MTA, error) {
	m := &MTA{Name: EximName, Addr: harness.FreeAddr()}
	pem, err := os.ReadFile(certificate)
	if err != nil {
		return nil, err
	}
	var boxes strings.Builder // a directory's name must come from a file
	for _, user := range users {
		fmt.Fprintf(&boxes, "%[1]s: %[1]s\n", user)
	}
	overlay := harness.Overlay{Dir: filepath.Join(dir, "exim"), Package: "exim",
		Passwd: "Debian-exim:x:64003:64003::/var/spool/exim4:/usr/sbin/nologin\n", Group: "Debian-exim:x:64003:\n",
		Files: map[string]string{"etc/ssl/peer.pem": string(pem), "etc/exim4/boxes": boxes.String(),
			"etc/exim4/exim4.conf": fmt.Sprintf(eximSettings, harness.Port(m.Addr), Domain)}}
	return m, overlaid(m, overlay, users, "rm -rf /var/spool/exim4; mkdir /peer/spool; ln -s /peer/spool /var/spool/exim4; "+
		"chown Debian-exim:Debian-exim /peer/spool /peer/log; exec exim4 -bdf -q10s >/peer/log/output 2>&1")
}

// opensmtpdSettings are those of OpenSMTPD. %s are its port and the domain, twice.
const opensmtpdSettings = `pki peer cert "/etc/ssl/peer.pem"
pki peer key "/etc/ssl/peer.pem"
listen on 127.0.0.1 port %s tls pki peer hostname opensmtpd.example
smtp max-message-size 50M
table boxes { "@" = boxes }
action "boxes" maildir "/peer/boxes/%%{rcpt.user}/Maildir" virtual <boxes>
match from any for domain "%s" action "boxes"
`

// opensmtpdResolver has the names of clients looked up in /etc/hosts first, as the other servers do:
// else each session waits for the machine's name server, and for five seconds when a packet is lost.
const opensmtpdResolver = "lookup file bind\nnameserver 127.0.0.1\n"

// OpenSMTPD runs OpenSMTPD below dir.
func OpenSMTPD(dir, certificate string, users []string) (*MTA, error) {
	m := &MTA{Name: OpenSMTPDName, Addr: harness.FreeAddr()}
	pem, err := os.ReadFile(certificate)
	if err != nil {
		return nil, err
	}
	overlay := harness.Overlay{Dir: filepath.Join(dir, "opensmtpd"), Package: "opensmtpd",
		Passwd: "opensmtpd:x:64004:64004::/var/lib/opensmtpd/empty:/usr/sbin/nologin\n" +
			"opensmtpq:x:64005:64005::/var/lib/opensmtpd/empty:/usr/sbin/nologin\n" +
			"boxes:x:61234:61234::/peer/boxes:/bin/sh\n",
		Group: "opensmtpd:x:64004:\nopensmtpq:x:64005:\nboxes:x:61234:\n",
		Files: map[string]string{"etc/ssl/peer.pem": string(pem), "etc/smtpd.conf": fmt.Sprintf(opensmtpdSettings, harness.Port(m.Addr), Domain),
			"etc/resolv.conf": opensmtpdResolver, "etc/hosts": "127.0.0.1 localhost\n"}}
	return m, overlaid(m, overlay, users, "rm -rf /var/spool/smtpd; mkdir -m 711 /peer/spool; ln -s /peer/spool /var/spool/smtpd; "+
		"chmod 600 /etc/ssl/peer.pem; chown boxes:boxes /peer/boxes; exec smtpd -d >/peer/log/output 2>&1")
}
