package main

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"paperpath/internal/home"
	"paperpath/internal/rights"
	"paperpath/internal/sendmail"
	"paperpath/internal/status"
)

// parse runs the face up to the point where it would act, and returns the mode, the
// options and the exit status.
func parse(t *testing.T, name string, args ...string) (what byte, o sendmail.Options, queue string, code int) {
	t.Helper()
	p := face(name)
	p.Action = func(_ context.Context, _ *home.Home, c *cli.Context) (err error) {
		l := line(c)
		if what, err = sendmail.Mode(l); err != nil {
			return err
		}
		queue = c.String("q")
		if what == 'm' {
			o, err = sendmail.Parse(l)
		}
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	h := &home.Home{Place: rights.Place{Name: name}, Stdin: null, Stdout: null, Stderr: null}
	code = p.Run(context.Background(), h, append([]string{"--home", t.TempDir()}, args...))
	return what, o, queue, code
}

func to(list ...string) sendmail.Options { return sendmail.Options{Recipients: list} }

// with returns o changed by each of the functions.
func with(o sendmail.Options, change ...func(*sendmail.Options)) sendmail.Options {
	for _, f := range change {
		f(&o)
	}
	return o
}

func dots(o *sendmail.Options)    { o.IgnoreDots = true }
func header(o *sendmail.Options)  { o.FromHeader = true }
func verbose(o *sendmail.Options) { o.Verbose = true }
func from(s string) func(*sendmail.Options) {
	return func(o *sendmail.Options) { o.Sender, o.SenderSet = s, true }
}
func full(s string) func(*sendmail.Options) { return func(o *sendmail.Options) { o.FullName = s } }
func reports(when, part, id string) func(*sendmail.Options) {
	return func(o *sendmail.Options) { o.Notify, o.Return, o.EnvID = when, part, id }
}

// TestRecordedArguments has the arguments of real clients, as recorded with their
// Debian packages or found in their sources.
func TestRecordedArguments(t *testing.T) {
	for _, c := range []struct {
		client, args string
		want         sendmail.Options
	}{
		{"s-nail", "-i -- rcpt", with(to("rcpt"), dots)},
		{"s-nail -r", "-i -f me@x -- rcpt", with(to("rcpt"), dots, from("me@x"))},
		{"bsd-mailx", "-i -t", with(to(), dots, header)},
		{"bsd-mailx -r", "-i -t -f me@x", with(to(), dots, header, from("me@x"))},
		{"mailutils mail -r", "-oi -f user@host -t", with(to(), dots, header, from("user@host"))},
		{"mutt", "-oem -oi -- rcpt", with(to("rcpt"), dots)},
		{"mutt, envelope and DSN", "-oem -oi -f me@x -N failure,delay -R hdrs -- rcpt",
			with(to("rcpt"), dots, from("me@x"), reports("failure,delay", "hdrs", ""))},
		{"mutt, 8 bit", "-oem -oi -B8BITMIME -- rcpt other", with(to("rcpt", "other"), dots)},
		{"git send-email", "-i rcpt", with(to("rcpt"), dots)},
		{"git --envelope-sender", "-f me@x -i rcpt", with(to("rcpt"), dots, from("me@x"))},
		{"git --sendmail-cmd", "-v -i rcpt", with(to("rcpt"), dots, verbose)},
		{"PHP", "-t -i", with(to(), dots, header)},
		{"PHP, fifth argument", "-t -i -fbounce@x -ODeliveryMode=b", with(to(), dots, header, from("bounce@x"))},
		{"Debian cron", "-FCronDaemon -i -B8BITMIME -oem user", with(to("user"), dots, full("CronDaemon"))},
		{"cronie", "-FCronDaemon -i -odi -oem -oi -t -f user", with(to(), dots, header, full("CronDaemon"), from("user"))},
		{"vixie cron", "-FCronDaemon -odi -oem -oi -t", with(to(), dots, header, full("CronDaemon"))},
		{"busybox crond", "-ti oem", with(to(), dots, header)},
		{"mdadm", "-t", with(to(), header)},
	} {
		for _, name := range []string{"sendmail", "mailsubmit"} {
			what, o, _, code := parse(t, name, strings.Fields(c.args)...)
			if d := cmp.Diff(normal(c.want), normal(o)); d != "" || code != 0 || what != 'm' {
				t.Errorf("%s as %s (%s): mode %c, status %d\n%s", c.client, name, c.args, what, code, d)
			}
		}
	}
}

func normal(o sendmail.Options) sendmail.Options {
	o.Recipients = append([]string{}, o.Recipients...)
	return o
}

func TestOptionForms(t *testing.T) {
	for _, c := range []struct {
		args string
		want sendmail.Options
	}{
		{"-ti", with(to(), dots, header)},
		{"-it rcpt", with(to("rcpt"), dots, header)},
		{"-fme@x rcpt", with(to("rcpt"), from("me@x"))},
		{"-rme@x rcpt", with(to("rcpt"), from("me@x"))},
		{"-r me@x rcpt", with(to("rcpt"), from("me@x"))},
		{"-tifme@x", with(to(), dots, header, from("me@x"))},
		{"-tif me@x", with(to(), dots, header, from("me@x"))},
		{"rcpt -i -f me@x", with(to("rcpt"), dots, from("me@x"))},
		{"-f <> rcpt", with(to("rcpt"), from("<>"))},
		{"-ftwice@x -fme@x rcpt", with(to("rcpt"), from("me@x"))},
		{"-F Name rcpt", with(to("rcpt"), full("Name"))},
		{"-i -- -dash", with(to("-dash"), dots)},
		{"run watch", to("run", "watch")},
		{"-Nnever rcpt", with(to("rcpt"), reports("never", "", ""))},
		{"-N success,failure -Rfull -Vid42 rcpt", with(to("rcpt"), reports("success,failure", "full", "id42"))},
		{"-XV rcpt", with(to("rcpt"), verp2("+="))},
		{"-XV-= rcpt", with(to("rcpt"), verp2("-="))},
		{"-V+= rcpt", with(to("rcpt"), verp2("+="))},
		{"-X /tmp/log rcpt", to("rcpt")},
		{"-o i rcpt", with(to("rcpt"), dots)},
		{"-oi -oem -odq -o7 rcpt", with(to("rcpt"), dots)},
		{"-O IgnoreDots=True rcpt", with(to("rcpt"), dots)},
		{"-OIgnoreDots rcpt", with(to("rcpt"), dots)},
		{"-OIgnoreDots=False rcpt", to("rcpt")},
		{"-A m -B7BIT -C /etc/x -h 5 -L tag -p proto -e m rcpt", to("rcpt")},
		{"-Ac -Cx -hN -Lx -pSMTP:h -em -ep rcpt", to("rcpt")},
		{"-G -U -c -m -n -x rcpt", to("rcpt")},
		{"-GUcmnxi rcpt", with(to("rcpt"), dots)},
		{"-E -J -S rcpt", to("rcpt")},
		{"-Ex -Jy -Sz rcpt", to("rcpt")},
		{"-bm rcpt", to("rcpt")},
		{"-b m rcpt", to("rcpt")},
		{"-bq rcpt", to("rcpt")},
		{"-odb -q rcpt", to("rcpt")},
	} {
		what, o, _, code := parse(t, "sendmail", strings.Fields(c.args)...)
		if d := cmp.Diff(normal(c.want), normal(o)); d != "" || code != 0 || what != 'm' {
			t.Errorf("%s: mode %c, status %d\n%s", c.args, what, code, d)
		}
	}
}

func TestRecipientsFromAFile(t *testing.T) {
	name := t.TempDir() + "/list"
	if err := os.WriteFile(name, []byte("# a list\na@x, B <b@x>\r\n\n  c@x"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, o, _, code := parse(t, "mailsubmit", "-i", "--recipients", name, "d@x")
	if d := cmp.Diff(with(to("d@x", "a@x, B <b@x>", "c@x"), dots), o); d != "" || code != 0 {
		t.Errorf("status %d\n%s", code, d)
	}
	if _, _, _, code := parse(t, "mailsubmit", "--recipients="+name+"2", "d@x"); code != status.Usage {
		t.Errorf("a missing file: status %d", code)
	}
}

func verp2(s string) func(*sendmail.Options) { return func(o *sendmail.Options) { o.VERP = s } }

func TestModes(t *testing.T) {
	for args, want := range map[string]byte{"-bs": 's', "-b s": 's', "-bp": 'p', "-bi": 'i', "-I": 'i', "-bv a@b": 'v',
		"-q": 'q', "-q30m": 'q', "-qIabc": 'q', "-i -q": 'q', "-bp --json": 'p', "-bp -q": 'p'} {
		if what, _, _, code := parse(t, "sendmail", strings.Fields(args)...); what != want || code != 0 {
			t.Errorf("%s: mode %c, status %d", args, what, code)
		}
	}
	if _, _, queue, _ := parse(t, "sendmail", "-qRexample"); queue != "Rexample" {
		t.Errorf("-qRexample: %q", queue)
	}
}

// TestOptionsOutsideTheList compares every letter with the list.
func TestOptionsOutsideTheList(t *testing.T) {
	const list = "ABCFGILNORUVXbcefhimnoprqtvxEJS"
	for c := 'A'; c <= 'z'; c++ {
		if c > 'Z' && c < 'a' || strings.ContainsRune(list, c) {
			continue
		}
		if _, _, _, code := parse(t, "sendmail", "-"+string(c), "rcpt"); code != status.Usage {
			t.Errorf("-%c: status %d", c, code)
		}
	}
	for _, args := range []string{"-bd", "-bD", "-bd -q30m", "-bz rcpt", "-bmm rcpt", "-f", "-XVab rcpt", "-XV+ rcpt", "--bogus rcpt", "-tZ", "-i2 rcpt"} {
		if _, _, _, code := parse(t, "sendmail", strings.Fields(args)...); code != status.Usage {
			t.Errorf("%s: status %d", args, code)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{"/usr/sbin/sendmail": "sendmail", "mailq": "mailq", "./newaliases": "newaliases",
		"/opt/mailsubmit": "mailsubmit", "sendmail.paperpath": "mailsubmit"} {
		if p := face(name); p.Name != want || (len(p.Verbs) > 0) != (want == "mailsubmit") {
			t.Errorf("%s: %s with %d verbs", name, p.Name, len(p.Verbs))
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	h := &home.Home{Place: rights.Place{Name: "sendmail"}, Stdin: r, Stdout: w, Stderr: w}
	code := face("sendmail").Run(context.Background(), h, []string{"-Z", "a@b"})
	w.Close()
	text, _ := io.ReadAll(r)
	if code != status.Usage || strings.Count(string(text), "\n") != 1 {
		t.Errorf("status %d, %q", code, text)
	}
}
