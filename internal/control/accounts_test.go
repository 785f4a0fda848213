package control

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"paperpath/internal/control/machinetest"
	"paperpath/internal/status"
)

const somebody = `root:x:0:0:root:/root:/bin/bash
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
bob:x:1001:1001:Bob B?b,,,:/home/bob:/bin/bash
Carol:x:1002:1002::/home/carol:/bin/sh
dan.d-x_1:x:1003:1003::/home/dan/:/usr/sbin/nologin
homeless:x:1004:1004::/:/bin/sh
1005:x:1005:1005::/home/number:/bin/sh
old:x:501:501::/home/old:/bin/sh
`

func TestAccounts(t *testing.T) {
	machinetest.Users(t, strings.Replace(somebody, "B?b", "B\xf6b", 1), "staff:x:50:bob\nroot:x:0:bob\nbob:x:1001:\nproject:x:2000:bob,carol\n")
	f := newFixture(t, map[string]string{"domains": "x.example\ny.example\nz.example\n", "users": "eve@x.example:\n",
		"accounts": "x.example\nY.example: minuid=500 maildir=Mail/In\n"})
	for _, tt := range []struct{ ask, want string }{
		{"bob@x.example", "/home/bob/Maildir 1001 1001 control/accounts:1, account bob"},
		{"BOB@X.Example", "/home/bob/Maildir 1001 1001 control/accounts:1, account bob"},
		{"bob@y.example", "/home/bob/Mail/In 1001 1001 control/accounts:2, account bob"},
		{"bob@z.example", "none"}, {"dan.d-x_1@x.example", "/home/dan/Maildir 1003 1003 control/accounts:1, account dan.d-x_1"},
		{"old@x.example", "daemon"}, {"old@y.example", "/home/old/Mail/In 501 501 control/accounts:2, account old"},
		{"root@x.example", "daemon"}, {"www-data@x.example", "daemon"}, {"nobody@y.example", "daemon"},
		{"carol@x.example", "none"}, {"1005@x.example", "none"}, {"0@x.example", "none"}, {"-s@x.example", "none"},
		{"--help@x.example", "none"}, {"nosuch@x.example", "none"}, {`"bob b"@x.example`, "none"}, {"../bob@x.example", "none"},
		{"eve@x.example", f.Home() + "/mail/x.example/eve/Maildir -1 -1 control/users:1"}, {"homeless@x.example", "error"},
	} {
		if got := f.ownerOf(tt.ask); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.ask, got, tt.want)
		}
	}
	u, err := f.Owner("bob@x.example")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.Groups().Of(u.UID, u.GID, u.Account); err != nil || fmt.Sprint(got) != "[1001 50 2000]" {
		t.Errorf("groups %v %v", got, err)
	}
}

func (f *fixture) ownerOf(address string) string {
	u, err := f.Owner(address)
	if err != nil {
		if !status.IsTemporary(err) {
			return err.Error()
		}
		f.t.Log(address, err)
		return "error"
	}
	if daemon, err := f.IsDaemon(address); daemon || err != nil {
		return "daemon"
	}
	if u == nil {
		return "none"
	}
	return strings.Join([]string{u.Maildir(), strconv.Itoa(u.UID), strconv.Itoa(u.GID), u.Where}, " ")
}

// Only exit status 2 says that there is no such user: else the address would be refused while
// the server that knows its user is away.
func TestAccountsInTrouble(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": "x.example\n", "users": "", "accounts": "x.example\n"})
	path := filepath.Join(f.Home(), "getent")
	count := filepath.Join(f.Home(), "asked")
	for _, tt := range []struct{ about, does, want string }{
		{"not found", "exit 2", "none"}, {"away", "exit 1", "error"}, {"wrong words", "exit 3", "error"}, {"killed", "kill -9 $$", "error"},
		{"nothing", "exit 0", "error"}, {"junk", "echo junk", "error"}, {"another user", "echo eve:x:1001:1001::/home/eve:/bin/sh", "error"},
		{"no uid", "echo bob:x::1001::/home/bob:/bin/sh", "error"}, {"a negative uid", "echo bob:x:-2:1001::/home/bob:/bin/sh", "error"},
		{"4294967295", "echo bob:x:4294967295:1001::/home/bob:/bin/sh", "error"}, {"no home", "echo bob:x:1001:1001::home:/bin/sh", "error"},
		{"found", "echo $1 $2 >>" + count + "; echo bob:x:1001:1001::/home/bob:/bin/sh", "/home/bob/Maildir 1001 1001 control/accounts:1, account bob"},
	} {
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+tt.does+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		f.getent, f.noAccounts, f.memories = path, nil, map[string]*memory{}
		if got := f.ownerOf("bob@x.example"); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.about, got, tt.want)
		}
	}
	f.ownerOf("bob@x.example")
	if text, err := os.ReadFile(count); err != nil || string(text) != "passwd bob\n" {
		t.Errorf("asked %q %v: an answer holds for a moment", text, err)
	}
	f.getent = filepath.Join(f.Home(), "missing")
	if got := f.ownerOf("dan@x.example"); got != "error" {
		t.Errorf("no getent: %s", got)
	}
}

// getent exits with 2 too if the directory is away. Then it does not find the account either that
// is known to be there, and nobody is refused.
func TestAccountsAway(t *testing.T) {
	f := newFixture(t, map[string]string{"domains": "x.example\n", "users": "", "accounts": "x.example: known=bob\n"})
	path, up := filepath.Join(f.Home(), "getent"), filepath.Join(f.Home(), "up")
	script := "#!/bin/sh\n[ -e " + up + " ] || exit 2\n" + `case $2 in
bob|carol) echo $2:x:1001:1001::/home/$2:/bin/sh ;;
*) exit 2 ;;
esac
`
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	f.getent = path
	for _, tt := range []struct {
		is            bool
		carol, nosuch string
	}{
		{false, "error", "error"},
		{true, "/home/carol/Maildir 1001 1001 control/accounts:1, account carol", "none"},
		{false, "/home/carol/Maildir 1001 1001 control/accounts:1, account carol", "error"},
	} {
		os.Remove(up)
		if tt.is {
			if err := os.WriteFile(up, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			f.noAccounts.forget("bob") // a moment later
		}
		for address, want := range map[string]string{"carol": tt.carol, "nosuch": tt.nosuch} {
			if got := f.ownerOf(address + "@x.example"); got != want {
				t.Errorf("%v: %s: %s, want %s", tt.is, address, got, want)
			}
		}
	}
}

func TestAccountsRows(t *testing.T) {
	for text, want := range map[string]string{
		"x.example: minuid=0": "no user id", "x.example: minuid=x": "no user id", "x.example: maildir=/var/mail": "no path",
		"x.example: maildir=../x": "no path", "x.example: maildir=a/../../b": "no path", "x.example: who": "the options are", "x y": "domain",
		"x.example: known=-s": "no name of an account", "x.example: known=1005": "no name of an account",
		"x.example: known=bob": "", "x.example:": "", "x.example : maildir=.Mail": "", "x.example": "",
	} {
		_, err := accountsTable().parse("control/accounts:1", text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzPasswd(f *testing.F) {
	for line := range strings.Lines(somebody) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parsePasswd(text)
		if err == nil && (e.uid < 0 || e.gid < 0) {
			t.Errorf("%+v", e)
		}
	})
}
