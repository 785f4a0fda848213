package peers

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"paperpath/test/harness"
)

// token is what the provider of the tests accepts in place of a password.
const token = "ya29.token-of-alice"

// tokeninfo is the service that Dovecot asks whose a token is.
func tokeninfo(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("access_token") != token {
			http.Error(w, `{"error":"invalid_token"}`, http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `{"email":%q,"expires_in":3600}`, alice)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// serveUntilEnd runs a server in a process group of its own until the end of the test.
func serveUntilEnd(t *testing.T, cmd *exec.Cmd, log string, ready func() bool) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		cmd.Wait()
	})
	if err := harness.Wait(cmd.Path, time.Minute, ready); err != nil {
		text, _ := os.ReadFile(log)
		t.Fatalf("%v\n%s", err, text)
	}
}

func listens(addr string) func() bool {
	return func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
}

// dovecotAuth runs Dovecot's authentication service and returns its socket.
func dovecotAuth(t *testing.T, dir string) string {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/dovecot"); err != nil {
		missing(t, "dovecot")
	}
	for name, text := range map[string]string{
		"users":  alice + ":{PLAIN}" + harness.Password + "\n",
		"oauth2": "tokeninfo_url = " + tokeninfo(t) + "/?access_token=\nusername_attribute = email\n",
		"dovecot.conf": `protocols =
ssl = no
base_dir = ` + dir + `/run
state_dir = ` + dir + `/run
log_path = ` + dir + `/dovecot.log
auth_mechanisms = plain login cram-md5 scram-sha-256 oauthbearer xoauth2
auth_failure_delay = 0
passdb {
  driver = passwd-file
  mechanisms = plain login cram-md5 scram-sha-256
  args = ` + dir + `/users
}
passdb {
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = ` + dir + `/oauth2
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=/
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  user = root
  unix_listener ` + dir + `/auth {
    mode = 0666
  }
}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(dir, "auth")
	serveUntilEnd(t, exec.Command("/usr/sbin/dovecot", "-F", "-c", dir+"/dovecot.conf"), dir+"/dovecot.log", func() bool {
		_, err := os.Stat(socket)
		return err == nil
	})
	return socket
}

// reachableDir is a directory of the test that servers which give up root can reach.
func reachableDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// loginServer is where a server is reached: at one port with STARTTLS, at another in TLS
// from the beginning (RFC 8314 3.3).
type loginServer struct {
	starttls, implicit string
	client             string // the file of a client certificate of alice that it knows
}

// postfixWithLogins runs a Postfix that accepts mail from who logs in, or has the client
// certificate of alice, and drops it.
func postfixWithLogins(t *testing.T, h *harness.Home) loginServer {
	t.Helper()
	unpacked(t, "postfix")
	dir := reachableDir(t)
	at := loginServer{harness.FreeAddr(), harness.FreeAddr(), filepath.Join(dir, "client.pem")}
	fingerprint := writePair(t, at.client, alice)
	if err := os.WriteFile(filepath.Join(dir, "pair.pem"), []byte(certificate(t, h)), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := harness.NewPostfix(dir, `myhostname = postfix.example
mynetworks =
inet_protocols = ipv4
default_transport = discard
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_tls_chain_files = `+dir+`/pair.pem
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = `+dovecotAuth(t, dir)+`
broken_sasl_auth_clients = yes
smtpd_error_sleep_time = 0
smtpd_tls_ask_ccert = yes
smtpd_tls_fingerprint_digest = sha256
relay_clientcerts = inline:{ `+fingerprint+`=alice }
smtpd_sender_restrictions = permit_sasl_authenticated, permit_tls_clientcerts, reject_unauth_destination
smtpd_relay_restrictions = permit_sasl_authenticated, permit_tls_clientcerts, reject
`, at.starttls+" inet n - n - - smtpd\n"+at.implicit+" inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n"+
		"discard unix - - n - - discard\n"+harness.PostfixServices+harness.PostfixQueueManager)
	if err != nil {
		t.Fatal(err)
	}
	serveUntilEnd(t, p.Command(), dir+"/log", listens(at.implicit))
	return at
}

// eximWithLogins runs an Exim with authenticators of its own.
func eximWithLogins(t *testing.T, h *harness.Home) loginServer {
	t.Helper()
	dir := reachableDir(t)
	at := loginServer{harness.FreeAddr(), harness.FreeAddr(), filepath.Join(dir, "client.pem")}
	writePair(t, at.client, alice)
	text, err := os.ReadFile(filepath.Join(unpacked(t, "exim"), "usr/sbin/exim4"))
	if err != nil {
		t.Fatal(err)
	}
	libs, _ := filepath.Glob("/usr/lib/*/libnss_wrapper.so")
	if len(libs) == 0 {
		missing(t, "libnss-wrapper (test/peers/fetch.sh)")
	}
	env := append(os.Environ(), "LD_PRELOAD="+libs[0])
	for name, more := range map[string]string{
		"passwd": "Debian-exim:x:64003:64003::" + dir + ":/usr/sbin/nologin\n", "group": "Debian-exim:x:64003:\n"} {
		known, err := os.ReadFile("/etc/" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), append(known, more...), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, "NSS_WRAPPER_"+strings.ToUpper(name)+"="+filepath.Join(dir, name))
	}
	conf := `primary_hostname = exim.example
exim_path = ` + dir + `/exim4
spool_directory = ` + dir + `/spool
log_file_path = ` + dir + `/%slog
local_interfaces = 127.0.0.1
daemon_smtp_ports = ` + harness.Port(at.starttls) + " : " + harness.Port(at.implicit) + `
tls_on_connect_ports = ` + harness.Port(at.implicit) + `
tls_try_verify_hosts = *
tls_verify_certificates = ` + at.client + `.crt
pid_file_path = ` + dir + `/pid
keep_environment = LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
notifier_socket =
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
tls_advertise_hosts = *
tls_certificate = ` + dir + `/pair.pem
begin acl
rcpt:
  accept authenticated = *
  deny message = authentication required
begin routers
all:
  driver = accept
  transport = nowhere
begin transports
nowhere:
  driver = appendfile
  file = /dev/null
  user = Debian-exim
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{` + alice + `}}{eq{$auth3}{` + harness.Password + `}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = User : Password please
  server_condition = ${if and{{eq{$auth1}{` + alice + `}}{eq{$auth2}{` + harness.Password + `}}}}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${if eq{$auth1}{` + alice + `}{` + harness.Password + `}fail}
  server_set_id = $auth1
external:
  driver = external
  public_name = EXTERNAL
  server_advertise_condition = ${if eq{$tls_in_certificate_verified}{1}}
  server_param2 = ${certextract{subject,CN}{$tls_in_peercert}}
  server_condition = ${if eq{$auth2}{` + alice + `}}
  server_set_id = $auth2
`
	err = errors.Join(os.WriteFile(filepath.Join(dir, "exim4"), text, 0o755),
		os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o644),
		os.WriteFile(filepath.Join(dir, "pair.pem"), []byte(certificate(t, h)), 0o644),
		os.Mkdir(filepath.Join(dir, "spool"), 0o777), os.Chown(filepath.Join(dir, "spool"), 64003, 64003),
		os.Chown(dir, 64003, 64003))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "exim4"), "-C", filepath.Join(dir, "conf"), "-bdf")
	cmd.Env = env
	serveUntilEnd(t, cmd, dir+"/mainlog", listens(at.implicit))
	return at
}
