package mta

import (
	"fmt"
	"path/filepath"
	"strings"

	"paperpath/test/bench"
	"paperpath/test/harness"
)

// postfixSettings are what Postfix has beside its defaults. A session may be idle for as long as it
// takes to open a thousand, each with a process of its own. %s is a certificate with its key.
const postfixSettings = `myhostname = postfix.example
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
message_size_limit = 50000000
virtual_mailbox_limit = 0
smtpd_tls_security_level = may
smtpd_tls_chain_files = %s
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_timeout = 1h
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
`

// postfixBoxes are its settings for Maildirs, DIR/boxes/USER/Maildir, which it writes by virtual(8).
const postfixBoxes = `virtual_mailbox_domains = ` + Domain + `
virtual_mailbox_base = %[1]s/boxes
virtual_mailbox_maps = texthash:%[1]s/etc/vmailbox
virtual_uid_maps = static:61234
virtual_gid_maps = static:61234
`

// PostfixVirtual is the service of master.cf that delivers to them.
const PostfixVirtual = "virtual unix - n n - - virtual\n"

// PostfixBoxes are the settings of an instance of Postfix in dir that delivers to Maildirs, by
// PostfixVirtual.
func PostfixBoxes(dir string) string { return fmt.Sprintf(postfixBoxes, dir) }

// PostfixUsers writes the table of these mailboxes.
func PostfixUsers(p *harness.Postfix, users []string) error {
	var b strings.Builder
	for _, user := range users {
		fmt.Fprintf(&b, "%s@%s %s/Maildir/\n", user, Domain, user)
	}
	return p.Write("vmailbox", b.String())
}

// MakePostfixBoxes makes these mailboxes.
func MakePostfixBoxes(dir string, users []string) (bench.Boxes, error) {
	return bench.NewBoxes(filepath.Join(dir, "boxes"), users, owner)
}

// Postfix runs Postfix in a directory below dir. The processes of its SMTP server are as many as there
// are sessions.
func Postfix(dir, certificate string, users []string) (*MTA, *harness.Postfix, error) {
	dir = filepath.Join(dir, "postfix")
	m := &MTA{Name: "Postfix", Addr: harness.FreeAddr()}
	p, err := harness.NewPostfix(dir, fmt.Sprintf(postfixSettings, certificate)+PostfixBoxes(dir),
		m.Addr+" inet n - n - 2000 smtpd\n"+"pickup unix n - n 60 1 pickup\n"+harness.PostfixServices+PostfixVirtual+harness.PostfixQueueManager)
	if err != nil {
		return nil, nil, err
	}
	m.log = p.Log
	if err := PostfixUsers(p, users); err != nil {
		return nil, nil, err
	}
	if m.Boxes, err = MakePostfixBoxes(dir, users); err != nil {
		return nil, nil, err
	}
	if m.Server, err = bench.Start(m.Name, m.Addr, p.Command(), Greets); err != nil {
		return nil, nil, fmt.Errorf("%w\n%s", err, p.Log())
	}
	return m, p, nil
}
