package peers

import (
	"os"
	"path/filepath"
	"testing"

	"paperpath/test/harness"
)

// far is a domain that each server hands to the sink; it hands all others to
// the role mx of the home, by TLS or not at all. Lines may be of any length.
const far = "far.example"

var servers = map[string]func(t *testing.T, h *harness.Home, sink string) *peer{
	"postfix": postfix, "exim": exim, "opensmtpd": opensmtpd,
}

// certificate returns the certificate of the home with its key, as PEM: the
// servers use it too.
func certificate(t *testing.T, h *harness.Home) string {
	t.Helper()
	var all []byte
	for _, name := range []string{"privkey.pem", "fullchain.pem"} {
		text, err := os.ReadFile(filepath.Join(h.Dir, "control/tls", harness.Hostname, name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	return string(all)
}

func postfix(t *testing.T, h *harness.Home, sink string) *peer {
	addr := harness.FreeAddr()
	return startPeer(t, "postfix", addr, server{
		passwd: "postfix:x:64001:64001::/var/spool/postfix:/usr/sbin/nologin\n",
		group:  "postfix:x:64001:\npostdrop:x:64002:\n",
		files: map[string]string{
			"etc/ssl/peer.pem":           certificate(t, h),
			"etc/postfix/dynamicmaps.cf": "",
			"etc/postfix/main.cf": `compatibility_level = 3.7
myhostname = postfix.example
mydestination =
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
relayhost = [127.0.0.1]:` + harness.Port(h.Addr["mx"]) + `
transport_maps = inline:{ ` + far + `=clear:[127.0.0.1]:` + harness.Port(sink) + `, lmtp.example=lmtp:inet:` + h.Addr["lmtp"] + ` }
lmtp_tls_security_level = may
smtp_tls_security_level = encrypt
smtpd_tls_security_level = may
smtpd_tls_chain_files = /etc/ssl/peer.pem
smtp_tls_loglevel = 1
smtp_line_length_limit = 0
message_size_limit = 50000000
maillog_file = /peer/log/postfix
maillog_file_prefixes = /peer
`,
			"etc/postfix/master.cf": addr + ` inet n - n - - smtpd
pickup     unix n - n 60  1 pickup
cleanup    unix n - n -   0 cleanup
qmgr       unix n - n 300 1 qmgr
tlsmgr     unix - - n 300 1 tlsmgr
rewrite    unix - - n -   - trivial-rewrite
bounce     unix - - n -   0 bounce
defer      unix - - n -   0 bounce
trace      unix - - n -   0 bounce
proxymap   unix - - n -   - proxymap
smtp       unix - - n -   - smtp
relay      unix - - n -   - smtp
lmtp       unix - - n -   - lmtp
clear      unix - - n -   - smtp -o smtp_tls_security_level=none
error      unix - - n -   - error
retry      unix - - n -   - error
anvil      unix - - n -   1 anvil
scache     unix - - n -   1 scache
postlog    unix-dgram n - n - 1 postlogd
`},
		command: "chown postfix /var/lib/postfix && exec postfix start-fg",
	})
}

func exim(t *testing.T, h *harness.Home, sink string) *peer {
	addr := harness.FreeAddr()
	return startPeer(t, "exim", addr, server{
		passwd: "Debian-exim:x:64003:64003::/var/spool/exim4:/usr/sbin/nologin\n",
		group:  "Debian-exim:x:64003:\n",
		files: map[string]string{"etc/ssl/peer.pem": certificate(t, h), "etc/exim4/exim4.conf": `primary_hostname = exim.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = ` + harness.Port(addr) + `
log_file_path = /peer/log/%s
log_selector = +all
spool_directory = /var/spool/exim4
keep_environment =
notifier_socket =
acl_smtp_rcpt = accept
acl_smtp_data = accept
acl_not_smtp = accept
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
tls_advertise_hosts = *
tls_certificate = /etc/ssl/peer.pem
message_size_limit = 50M
begin routers
sink:
  driver = manualroute
  domains = ` + far + `
  transport = clear
  route_list = * 127.0.0.1::` + harness.Port(sink) + `
  self = send
everything:
  driver = manualroute
  transport = encrypted
  route_list = * 127.0.0.1::` + harness.Port(h.Addr["mx"]) + `
  self = send
begin transports
clear:
  driver = smtp
  allow_localhost
  hosts_avoid_tls = *
  message_linelength_limit = 1000000
encrypted:
  driver = smtp
  allow_localhost
  hosts_require_tls = *
  message_linelength_limit = 1000000
begin retry
* * F,1h,1s
`},
		command: "mkdir -p /var/spool/exim4 && chown Debian-exim:Debian-exim /var/spool/exim4 /peer/log && exec exim4 -bdf -q10s",
	})
}

func opensmtpd(t *testing.T, h *harness.Home, sink string) *peer {
	addr := harness.FreeAddr()
	return startPeer(t, "opensmtpd", addr, server{
		passwd: "opensmtpd:x:64004:64004::/var/lib/opensmtpd/empty:/usr/sbin/nologin\n" +
			"opensmtpq:x:64005:64005::/var/lib/opensmtpd/empty:/usr/sbin/nologin\n",
		group: "opensmtpd:x:64004:\nopensmtpq:x:64005:\n",
		files: map[string]string{"etc/ssl/peer.pem": certificate(t, h), "etc/smtpd.conf": `pki peer cert "/etc/ssl/peer.pem"
pki peer key "/etc/ssl/peer.pem"
listen on 127.0.0.1 port ` + harness.Port(addr) + ` tls pki peer hostname opensmtpd.example
smtp max-message-size 50M
action "clear" relay host smtp://` + sink + `
action "encrypted" relay host smtp+tls://` + h.Addr["mx"] + ` tls no-verify
match from any for domain "` + far + `" action "clear"
match from any for any action "encrypted"
`},
		command: "chmod 600 /etc/ssl/peer.pem && exec smtpd -d",
	})
}
