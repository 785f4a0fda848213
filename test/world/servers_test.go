package world

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"paperpath/test/harness"
)

// smtpAt returns the addresses with the port of SMTP.
func smtpAt(ips ...string) (list []string) {
	for _, ip := range ips {
		list = append(list, net.JoinHostPort(ip, "25"))
	}
	return list
}

// certificate writes the certificate of the home with its key into one file: the servers
// use it too.
func (w *world) certificate(dir string) string {
	w.t.Helper()
	var all []byte
	for _, name := range []string{"privkey.pem", "fullchain.pem"} {
		text, err := os.ReadFile(filepath.Join(w.home.Dir, "control/tls", harness.Hostname, name))
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, text...)
	}
	return w.write(filepath.Join(dir, "peer.pem"), string(all), 0o600)
}

func (w *world) write(path, text string, mode os.FileMode) string {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// postfix runs Postfix. It refuses the local part refused, defers later, and hands on
// everything else to the sink. more is added to its settings.
func (w *world) postfix(more string) *server {
	w.t.Helper()
	unpacked(w.t, "postfix")
	dir := filepath.Join(w.dir, "postfix")
	settings := fmt.Sprintf(`myhostname = mx.postfix.example
mynetworks = 127.0.0.0/8
inet_protocols = all
relay_domains = example
relayhost = [%s]:%s
smtpd_peername_lookup = no
smtpd_recipient_restrictions =
  check_recipient_access inline:{ {refused@=REJECT not this one}, {later@=450 not now} }
smtp_tls_security_level = none
smtpd_tls_security_level = may
smtpd_tls_chain_files = %s
smtp_line_length_limit = 0
message_size_limit = 50000000
`, sinkAddr, harness.Port(w.sink.Addr), w.certificate(dir))
	services := ""
	for _, addr := range smtpAt(postfixAddr, secondAddr, postfixAddr6) {
		services += addr + " inet n - n - - smtpd\n"
	}
	services += harness.PostfixServices + harness.PostfixQueueManager
	p, err := harness.NewPostfix(dir, settings+more, services)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.serve("postfix", p.Command(), dir+"/log", smtpAt(postfixAddr, secondAddr, postfixAddr6)...)
}

// wrapper makes programs find the users that their packages would have made, by
// libnss-wrapper.
func (w *world) wrapper(dir, passwd, group string) []string {
	w.t.Helper()
	libs, _ := filepath.Glob("/usr/lib/*/libnss_wrapper.so")
	if len(libs) == 0 {
		missing(w.t, "libnss-wrapper (test/peers/fetch.sh)")
	}
	env := append(os.Environ(), "LD_PRELOAD="+libs[0])
	for name, more := range map[string]string{"passwd": passwd, "group": group} {
		text, err := os.ReadFile("/etc/" + name)
		if err != nil {
			w.t.Fatal(err)
		}
		env = append(env, "NSS_WRAPPER_"+strings.ToUpper(name)+"="+
			w.write(filepath.Join(dir, name), string(text)+more, 0o644))
	}
	return env
}

// exim runs Exim, which does the same. The copy of its program is not set-id, so that it
// keeps its environment. more is added to its main section.
func (w *world) exim(more string) *server {
	w.t.Helper()
	dir := filepath.Join(w.dir, "exim")
	program := w.program(filepath.Join(unpacked(w.t, "exim"), "usr/sbin/exim4"), filepath.Join(dir, "exim4"))
	conf := fmt.Sprintf(`primary_hostname = exim.example
exim_path = %[1]s/exim4
spool_directory = %[1]s/spool
log_file_path = %[1]s/log/%%s
local_interfaces = <; %[2]s ; %[3]s
daemon_smtp_ports = 25
keep_environment = LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
deliver_drop_privilege
notifier_socket =
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
tls_advertise_hosts = *
tls_certificate = %[4]s
message_size_limit = 50M
%[5]s
begin acl
rcpt:
  deny local_parts = refused
  defer local_parts = later
  accept
begin routers
sink:
  driver = manualroute
  transport = sink
  route_list = * %[6]s::%[7]s
  self = send
begin transports
sink:
  driver = smtp
  hosts_avoid_tls = *
  message_linelength_limit = 1000000
begin retry
* * F,1h,1s
`, dir, eximAddr, eximAddr6, w.certificate(dir), more, sinkAddr, harness.Port(w.sink.Addr))
	w.write(filepath.Join(dir, "exim.conf"), conf, 0o644)
	cmd := exec.Command(program, "-C", filepath.Join(dir, "exim.conf"), "-bdf", "-q10s")
	cmd.Env = w.wrapper(dir, "Debian-exim:x:64003:64003::/:/usr/sbin/nologin\n", "Debian-exim:x:64003:\n")
	for _, name := range []string{"spool", "log", "peer.pem"} {
		path := filepath.Join(dir, name)
		if name != "peer.pem" {
			if err := os.Mkdir(path, 0o750); err != nil {
				w.t.Fatal(err)
			}
		}
		if err := os.Chown(path, 64003, 64003); err != nil {
			w.t.Fatal(err)
		}
	}
	return w.serve("exim", cmd, filepath.Join(dir, "log"), smtpAt(eximAddr, eximAddr6)...)
}

// program copies a program.
func (w *world) program(from, to string) string {
	w.t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.write(to, string(text), 0o755)
}
