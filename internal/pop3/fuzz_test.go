package pop3

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"paperpath/internal/auth"
)

// The simplest description of command lines: RFC 1939 3 and 4, RFC 2449 4 and 5, RFC
// 2595 4, RFC 5034 4, RFC 6856 2 and 3.
var (
	plainText   = regexp.MustCompile(`^[^\x00-\x1f\x7f]*$`)
	beforeLogin = regexp.MustCompile(`^(?i)((CAPA|STLS|UTF8|QUIT) *|(USER|PASS|AUTH|LANG)( .*)?)$`)
	afterLogin  = regexp.MustCompile(`^(?i)((CAPA|STAT|RSET|NOOP|QUIT) *|(LANG|LIST|UIDL|RETR|TOP|DELE)( .*)?)$`)
)

func referenceAccepts(line string, loggedIn bool) bool {
	limit, words := 512, beforeLogin
	if loggedIn {
		words = afterLogin
	}
	if len(line) >= 4 && strings.EqualFold(line[:4], "AUTH") && (len(line) == 4 || line[4] == ' ') {
		limit = 12288
	}
	return len(line) <= limit && plainText.MatchString(line) && words.MatchString(line)
}

// The parser accepts exactly the lines that the reference accepts, and passes each
// command what follows its name.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{"STAT", "stat ", "STAT 1", "LIST 1", "LIST  1 ", "PASS  a b ", "USER", "\x00", "USER a\x7f", "QUIT\r", " STAT",
		"TOP 1 0", "AUTH PLAIN AAA=", "AUTHX", "UTF8", "LANG *", "STLS", strings.Repeat("A", 513), "AUTH " + strings.Repeat("A", 12283),
		"PASS " + strings.Repeat("ä", 253), "RETR\t1", "USER \xff"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, line string, loggedIn bool) {
		if strings.Contains(line, "\n") {
			return
		}
		s := &session{}
		if loggedIn {
			s.drop = &drop{}
		}
		name, arg := split([]byte(line))
		cmd, known := find(name)
		problem := s.check([]byte(line), cmd, known, arg)
		if accepted := referenceAccepts(line, loggedIn); accepted != (problem == "") {
			t.Fatalf("%.80q, logged in %v: %q, but the reference says %v", line, loggedIn, problem, accepted)
		}
		if problem == "" && line[len(name):] != "" && line[len(name):] != " "+arg {
			t.Fatalf("%.80q: %q after %q", line, arg, name)
		}
	})
}

// No login leads out of the user's own Maildir, or is taken for another address than
// the one it begins with.
func FuzzSplitLogin(f *testing.F) {
	for _, s := range []string{"alice", "alice@example.net", "alice@example.net+Junk", "alice@example.net+Junk!", "alice@example.net+../x", "a@b+.", "a@b+a/b", "a@b@c+x!", "+x", "@+x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, login string) {
		address, v, ok := auth.SplitLogin(login)
		if !ok {
			return
		}
		suffix := ""
		if v.Folder != "" {
			suffix = "+" + v.Folder
		}
		if v.ReadOnly {
			suffix += "!"
		}
		if address+suffix != login {
			t.Fatalf("auth.SplitLogin(%q) = %q, %+v", login, address, v)
		}
		path := Account{Maildir: "/m/Maildir", Folder: v.Folder}.path()
		if dir, base := filepath.Split(path); v.Folder != "" && (dir != "/m/Maildir/" || base != "."+v.Folder) {
			t.Fatalf("auth.SplitLogin(%q) leads to %q", login, path)
		}
	})
}
