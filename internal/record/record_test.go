package record

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/check"
	"paperpath/internal/control"
	"paperpath/internal/dns"
	"paperpath/internal/dns/dnstest"
	"paperpath/internal/explain"
	"paperpath/internal/route"
	"paperpath/internal/spool"
)

var moment = time.Date(2026, 11, 28, 12, 0, 0, 123456789, time.UTC)

// made makes a record of a message, and returns its directory.
func made(t *testing.T) string {
	t.Helper()
	s := dnstest.New(t, "2.0.0.127.bl.example A 127.0.0.2\n9.2.0.192.bl.example A 127.0.0.2\n9.2.0.192.bl.example TXT why")
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "control"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"hostname": "mx.example.net\n", "domains": "example.net\n", "resolver": s.Addr + "\n",
		"dnsbl": "bl.example: 3\n", "checks": "dnsbl: refuse\n", "users": "alice@example.net:{PLAIN}secret\n"} {
		if err := os.WriteFile(filepath.Join(home, "control", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := control.Open(home, time.Now)
	r := dns.New(c)
	dir := filepath.Join(t.TempDir(), "bug")
	rec, err := Begin(dir, c, r, moment)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.User("alice@example.net"); err != nil {
		t.Fatal(err)
	}
	client, to := "192.0.2.9", []string{"alice@example.net", "\u00fcn\u00efcode@example.net"}
	var trail explain.Trail
	k := &check.Checker{Control: c, Host: "mx.example.net", DNS: r, Now: func() time.Time { return rec.Time }, Filters: rec.Filters}
	body := spool.BytesBody([]byte(text0))
	k.Message(t.Context(), subject(t, client, to, body), &trail)
	if err := rec.End(Case{Client: &client, To: to}, body, &trail); err != nil {
		t.Fatal(err)
	}
	s.Close()
	return dir
}

const text0 = "From: a@b.example\n\nhello\n"

// replayed opens a record and returns what is explained of it.
func replayed(t *testing.T, dir string) string {
	t.Helper()
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var trail explain.Trail
	k := &check.Checker{Control: r.Control, Host: "mx.example.net", DNS: r.DNS, Now: r.Now, Filters: r.Filters}
	k.Message(t.Context(), subject(t, *r.Client, r.To, r.Message), &trail)
	var b bytes.Buffer
	if err := trail.Write(&b, false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What is recorded with a server is said again without it, and a change in the record is
// another verdict.
func TestRecord(t *testing.T) {
	dir := made(t)
	want, err := os.ReadFile(filepath.Join(dir, "explain"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := replayed(t, dir); got != string(want) || !strings.Contains(got, "=> refuse: ") {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte("secret")) {
			t.Errorf("%s has a secret", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if !r.Now().Equal(moment) || r.To[1] != "\u00fcn\u00efcode@example.net" || r.Helo != nil || r.Message.Size() != int64(len(text0)) {
		t.Errorf("%+v", r.Case)
	}
	for name, text := range map[string]string{"dns": "2.0.0.127.bl.example A NXDOMAIN\n", "control/dnsbl": "bl.example: -3\n",
		"control/checks": "dnsbl: tag\n", "case": "time: 2026-11-28T12:00:00Z\nclient: \"127.0.0.1\"\n", "message": "Subject: x\n\n"} {
		dir := made(t)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := replayed(t, dir); got == string(want) {
			t.Errorf("%s does not count:\n%s", name, got)
		}
	}
}

// Lists that aliases include are in the record, and are read there; one that could not be read
// is the same error, and a record leads to no other file.
func TestRecordOfLists(t *testing.T) {
	home, lists := t.TempDir(), t.TempDir()
	past := time.Now().Add(-time.Minute)
	for path, text := range map[string]string{
		home + "/control/aliases": "a: :include:" + lists + "/l\nb: :include:" + lists + "/none\n",
		home + "/control/domains": "example.net\n", home + "/control/users": "alice@example.net:*\n",
		lists + "/l": "alice\n:include:" + lists + "/m\n", lists + "/m": "# x\nfar@far.example\n",
	} {
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(path, past, past)
	}
	c := control.Open(home, time.Now)
	if !strings.Contains(resolves(c), "domain far.example") { // lists that are remembered are recorded, too
		t.Fatal(resolves(c))
	}
	dir := filepath.Join(t.TempDir(), "bug")
	rec, err := Begin(dir, c, dns.New(c), moment)
	if err != nil {
		t.Fatal(err)
	}
	want := resolves(c)
	if err := rec.End(Case{}, spool.BytesBody(nil), &explain.Trail{}); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(lists)
	again := func() string {
		t.Helper()
		r, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		return resolves(r.Control)
	}
	if got := again(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for _, row := range []string{`"../case"`, `"../../../../../../etc/hostname"`, `"-1"`, `"3"`, "none", `failed "why not"`} {
		text := fmt.Sprintf(":include: %q %s\n", lists+"/l", row)
		if err := os.WriteFile(filepath.Join(dir, "rows"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := again(); !strings.Contains(got, "list "+lists+"/l: ") || strings.Contains(got, "line 1: ") {
			t.Errorf("%s: %s", row, got)
		}
	}
}

// resolves is how aliases of a home with lists are expanded.
func resolves(c *control.Control) string {
	var b bytes.Buffer
	for _, local := range []string{"a", "b", "c"} {
		var trail explain.Trail
		_, err := route.Resolve(c, "", addr.Address{Local: local, Domain: "example.net"}, &trail)
		trail.Write(&b, false)
		fmt.Fprintln(&b, err)
	}
	return strings.ReplaceAll(b.String(), c.Home(), "HOME")
}

// A record of a stranger leads nowhere.
func TestHostileRecords(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"no case":             func(dir string) error { return os.Remove(dir + "/case") },
		"no message":          func(dir string) error { return os.Remove(dir + "/message") },
		"message is a link":   link("message", "/etc/passwd"),
		"a link inside":       link("message", "case"),
		"case is a link":      link("case", "/etc/passwd"),
		"dns is a link":       link("dns", "../../x"),
		"a setting is a link": link("control/users", "/etc/shadow"),
		"settings are a link": func(dir string) error { os.RemoveAll(dir + "/control"); return os.Symlink("/etc", dir+"/control") },
		"lists are a link":    link("lists", "/etc"),
		"a list is a link": func(dir string) error {
			return errors.Join(os.Mkdir(dir+"/lists", 0o700), os.Symlink("/etc/passwd", dir+"/lists/1"))
		},
		"a setting is a fifo": func(dir string) error {
			os.Remove(dir + "/control/users")
			return os.Mkdir(dir+"/control/users", 0o700)
		},
		"no time":                 write("case", "client: \"::1\"\n"),
		"a case without sense":    write("case", "time: 2026-11-28T12:00:00Z\nhello\n"),
		"an option twice":         write("case", "time: 2026-11-28T12:00:00Z\nhelo: \"a\"\nhelo: \"b\"\n"),
		"an unknown option":       write("case", "time: 2026-11-28T12:00:00Z\nuid: \"0\"\n"),
		"answers without sense":   write("dns", "x\n"),
		"rows without sense":      write("rows", "x\n"),
		"findings without sense":  write("filters", "x\n"),
		"a message of a filter":   write("filters", `{"Check":"x","Changed":{"Message":"message.0/../../../etc/passwd"}}`),
		"another file of filters": write("filters", `{"Check":"x","Changed":{"Message":"control/users"}}`),
	} {
		dir := made(t)
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		if r, err := Open(dir); err == nil || !strings.Contains(err.Error(), "cannot be read: ") {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if _, err := Begin(made(t), nil, nil, moment); err == nil {
		t.Error("a record is written over another one")
	}
}

func link(name, to string) func(dir string) error {
	return func(dir string) error {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return os.Symlink(to, filepath.Join(dir, name))
	}
}

func write(name, text string) func(dir string) error {
	return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
}

// FuzzCase: a case is refused, or is the same after a way through its text.
func FuzzCase(f *testing.F) {
	f.Add([]byte("# x\ntime: 2026-11-28T12:00:00.5Z\nfrom: \"a@b\"\nto: \"c\"\nto: \"\\u00fc\"\nclient: \"::1\"\nhelo: \"\"\nlogin: \"x\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := readCase(data)
		if err != nil {
			return
		}
		var once, twice bytes.Buffer
		c.write(&once)
		again, err := readCase(once.Bytes())
		if err != nil {
			t.Fatalf("%v: %q", err, once.String())
		}
		if again.write(&twice); once.String() != twice.String() {
			t.Errorf("%q becomes %q", once.String(), twice.String())
		}
	})
}

// subject is what mailcheck makes of the options.
func subject(t *testing.T, client string, to []string, body spool.Body) check.Subject {
	t.Helper()
	s := check.Subject{SMTPPeer: true, Client: netip.MustParseAddr(client), Body: body}
	for _, a := range to {
		s.Envelope.To = append(s.Envelope.To, spool.Recipient{Addr: a})
	}
	return s
}
