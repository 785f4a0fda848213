package auth

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paperpath/internal/control"
	"paperpath/internal/status"
)

// settings returns a home whose control/users holds rows and is old enough for
// negative answers.
func settings(t testing.TB, rows ...string) *control.Control {
	t.Helper()
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "control"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"users": strings.Join(rows, "\n") + "\n", "domains": "b.example\n"} {
		path, old := filepath.Join(home, "control", name), time.Now().Add(-time.Minute)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	return control.Open(home, time.Now)
}

// Hashes of "correct horse", each made by another program: the crypt strings
// by libcrypt's crypt(3), the salted ones by sha256sum and sha512sum, the others
// by openssl passwd and doveadm pw.
func foreignHashes() map[string]string {
	return map[string]string{
		"sha512 with rounds":      "{SHA512-CRYPT}$6$rounds=5000$abcdefghijklmnop$q2YZbPhm1LySTIzZVDisu/y2CX1McrFsw529ViOLMxoKT.sfgjBo4aFu.hwtGjEDxRb6mn/TZMj7V4/1AUTLi1",
		"sha512 without a scheme": "$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0",
		"sha256":                  "{SHA256-CRYPT}$5$saltsalt$myjXcpMpE2Ofk7fj9hqyNYSn6lmWG4Mqnjx.KIRRr4/",
		"sha256 as crypt":         "{CRYPT}$5$rounds=1234$xyz$XyUqojHH3fKnr5jNxzj7Gjk8JYh4mAISrhu.moLIO6B",
		"blowfish y":              "{BLF-CRYPT}$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2",
		"blowfish b":              "{CRYPT}$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
		"yescrypt":                "{CRYPT}$y$j9T$F5Jx5fExrKuPp53xLKQ..1$zwtVrjrUCmXcyLTs6oxLTQlzifSUkF8RHJ./tK5KU79",
		"ssha256":                 "{SSHA256}drM+3cqVtSdA/BAoLMZPDQAK6mEuzMpdgQQ5kgkdpTFzYWx0U0FMVA==",
		"ssha256 hex":             "{SSHA256.hex}76b33eddca95b52740fc10282cc64f0d000aea612eccca5d81043992091da53173616c7453414c54",
		"ssha512":                 "{SSHA512}L973saL9v4VelsUVLtxHGQvGWx/l+35krRr/JMZVDTcse3hycsoJ29NrFsEpUJXXMd0r2P9wzeQBUVZuEvHlUnNhbHRTQUxU",
		"ssha512 hex":             "{SSHA512.hex}2fdef7b1a2fdbf855e96c5152edc47190bc65b1fe5fb7e64ad1aff24c6550d372c7b787272ca09dbd36b16c1295095d731dd2bd8ff70cde40151566e12f1e55273616c7453414c54",
		"md5":                     "{MD5-CRYPT}$1$NB87nIqg$4ulfOpneD5efjfeB5X02X0",
		"md5 of openssl":          "$1$abcdefgh$y6iHhJNbuC0xpbk0w9pm80",
		"md5 named so":            "{MD5}$1$abcdefgh$y6iHhJNbuC0xpbk0w9pm80",
		"sha":                     "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=",
		"sha1":                    "{SHA1}L55TUjtiq8FBorTWAZ0jy6g129A=",
		"plain sha256":            "{SHA256}QQTTb42iwlQ0n4WDZ5Pr4CngyVcGOjTJHC6SAxh7VjE=",
		"plain sha256 in hex":     "{SHA256.HEX}4104d36f8da2c254349f85836793ebe029e0c957063a34c91c2e9203187b5631",
		"plain sha256, guessed":   "{SHA256}4104d36f8da2c254349f85836793ebe029e0c957063a34c91c2e9203187b5631",
		"plain sha512":            "{SHA512}VraY3v7bWkNbY0r+MyC7rz/c2SC2xQOkRvx7endrKY1HnRumqLYXgI6wv1ec6aldZoNHvKtxSQhayTyyeZUZew==",
		"ssha":                    "{SSHA}9+RaxGY/fW3gSuAqDaSuY0wN01Adjy1e",
		"ssha hex":                "{SSHA.HEX}dc52f7a8a53c180fb79da45e3e429b5c6849d7fa8d9034a1",
		"smd5":                    "{SMD5}T18bQcRmh9H7xdZDF6QZmxhSxXs=",
		"ldap md5":                "{LDAP-MD5}PLTnMmMfR+brlh80VUt83g==",
		"plain md5":               "{PLAIN-MD5}3cb4e732631f47e6eb961f34554b7cde",
		"pbkdf2":                  "{PBKDF2}$1$/uKdRuvhWb/WsVbf$5000$6f2f8b5c9a9158d19bd2341a7d763123fc884ad6",
		"argon2i":                 "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$JWCKkn9nYZ8jB4YM212QaQ$4MBVQtdcqlpOKvLZVwPOC/HDSgiLeFglpE/FqVkMfgU",
		"argon2id of doveadm":     "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$FQGk7lyluLOe+PC5hwTIuw$D6+02BIuxVXA10W+jqMlG7Ky9sJmY7X3JWOdgQPBKV0",
		"scram":                   "{SCRAM-SHA-256}4096,eH9GDh2X+wNPY0cQdkq3Fg==,P/haenlRL+Lnx8SoR1Bb4Sl0s3xziHUM6Hv5PDon74g=,Ju21nH7AqcbJhPQsWXzoNo66r9xh3ss9aurbky8eFlI=",
		"plain":                   "{PLAIN}correct horse",
		"plain base64":            "{plain.b64}Y29ycmVjdCBob3JzZQ==",
	}
}

func TestForeignHashes(t *testing.T) {
	for name, hash := range foreignHashes() {
		c := settings(t, "a@b.example:"+hash+":::::")
		if u, err := Check(c, "A@B.example", "correct horse"); err != nil || u == nil || u.Address != "a@b.example" {
			t.Errorf("%s: %v", name, err)
		}
		wantRefused(t, c, "a@b.example", "correct hors")
		wantRefused(t, c, "a@b.example", "correct horse ")
		wantRefused(t, c, "a@b.example", "Correct horse")
	}
}

// The vector is from the tests of the reference implementation of Argon2.
func TestForeignArgon(t *testing.T) {
	c := settings(t, "a@b.example:$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	if _, err := Check(c, "a@b.example", "password"); err != nil {
		t.Error(err)
	}
	wantRefused(t, c, "a@b.example", "passwort")
}

func wantRefused(t *testing.T, c *control.Control, login, password string) {
	t.Helper()
	u, err := Check(c, login, password)
	if code, enhanced, _ := status.Reply(err); u != nil || code != 535 || enhanced != "5.7.8" || status.Exit(err) != status.NotAllowed {
		t.Errorf("%s %.20q: user %v, error %v", login, password, u, err)
	}
}

func TestRefused(t *testing.T) {
	c := settings(t, "plain@b.example:{PLAIN}x", "none@b.example:", "bang@b.example:!{PLAIN}x",
		"star@b.example:*", "dead@b.example:{PLAIN}*x", "empty@b.example:{PLAIN}", "bang2@b.example:{PLAIN}!")
	if _, err := Check(c, "plain@b.example", "x"); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"plain", "none", "bang", "star", "dead", "empty", "bang2", "nobody"} {
		for _, password := range []string{"", "y", "!", "*", "*x", "!{PLAIN}x", "x\x00", "x\n", strings.Repeat("x", 1<<20)} {
			wantRefused(t, c, user+"@b.example", password)
		}
	}
	wantRefused(t, c, "", "x")
	wantRefused(t, c, "plain", "x")
	wantRefused(t, c, "plain@b.example\n", "x")
}

func TestBrokenHashesAreTemporary(t *testing.T) {
	key := strings.Repeat("a", 86)
	for _, hash := range []string{
		"{NOSUCH}x", "{PLAIN.b32}x", "{PLAIN.hex}xyz", "{SSHA256}x!", "{SSHA256}AAAA",
		"{CRYPT}abcdefghijklm", "{SHA512-CRYPT}$5$salt$" + key[:43], "{SHA512-CRYPT}$6$salt$short",
		"{SHA512-CRYPT}$6$rounds=1000001$salt$" + key, "{SHA512-CRYPT}$6$rounds=1$salt$" + key,
		"{SHA512-CRYPT}$6$rounds=-1$salt$" + key, "{SHA512-CRYPT}$6$" + key + "$" + key,
		"{SHA512-CRYPT.b64}$6$salt$" + key, "{BLF-CRYPT}$2y$31$" + key[:53], "{BLF-CRYPT}$2y$10$x",
		"{ARGON2ID}$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$" + key[:43],
		"{ARGON2ID}$argon2id$v=19$m=65536,t=99,p=1$c2FsdHNhbHQ$" + key[:43],
		"{ARGON2ID}$argon2id$v=19$m=262144,t=16,p=1$c2FsdHNhbHQ$" + key[:43],
		"{ARGON2ID}$argon2id$v=19$m=65536,t=1,p=255$c2FsdHNhbHQ$" + key[:43],
		"{ARGON2ID}$argon2id$v=19$m=65536,m=65536,p=1$c2FsdHNhbHQ$" + key[:43],
		"{ARGON2ID}$argon2id$v=19$m=65536,t=1,p=1$c2FsdHNhbHQ$a", "$1$salt$" + key[:21], "$1$saltsalts$" + key[:22], "{MD5-CRYPT}$5$salt$" + key[:43],
		"{SCRAM-SHA-256}4095,c2FsdA==," + key[:43] + "=," + key[:43] + "=", "{SCRAM-SHA-256}1000001,c2FsdA==," + key[:43] + "=," + key[:43] + "=",
		"{SCRAM-SHA-256}4096,," + key[:43] + "=," + key[:43] + "=", "{SCRAM-SHA-256}4096,c2FsdA==," + key[:43] + "=", "{SCRAM-SHA-256.b64}x",
		"{PBKDF2}$1$salt$1000001$" + strings.Repeat("a", 40), "{PBKDF2}$1$salt$0$" + strings.Repeat("a", 40), "{PBKDF2}$1$salt$1$aa",
		"{SHA}AAAA", "{SHA1}L55TUjtiq8FBorTWAZ0jy6g129BBBBA=", "{PLAIN-MD5}x", "{CRAM-MD5}" + key[:64], "{SCRAM-SHA-1}x", "$y$jZZ$salt$" + key[:43],
	} {
		c := settings(t, "a@b.example:"+hash)
		u, err := Check(c, "a@b.example", "x")
		code, enhanced, text := status.Reply(err)
		if u != nil || code != 454 || enhanced != "4.7.0" || status.Exit(err) != status.TempFail {
			t.Errorf("%s: %v %v", hash, u, err)
			continue
		}
		if !strings.Contains(err.Error(), "control/users:1: ") || strings.Contains(text, "users") || strings.Contains(err.Error(), key[:20]) {
			t.Errorf("%s: error %v, reply %q", hash, err, text)
		}
	}
}

func TestBrokenTableIsTemporary(t *testing.T) {
	_, err := Check(settings(t, "a@b.example:{x"), "a@b.example", "x")
	if code, _, _ := status.Reply(err); code != 454 || !strings.Contains(err.Error(), "control/users:1:") {
		t.Error(err)
	}
}

// A broken row keeps nobody else out. A broken row that could be anyone's makes every
// refusal temporary, also for users with a row: the answer does not reveal who exists.
func TestBrokenRowHarmsItselfAlone(t *testing.T) {
	const good = "a@b.example:{PLAIN}right\n"
	for text, want := range map[string]string{
		good + "b@b.example:{x": "ok 535 454 535",
		good + "b b":            "ok 454 454 454",
		"b b\n" + good:          "ok 454 454 454",
	} {
		users := &Users{Control: settings(t, text)}
		var got []string
		for _, login := range []string{"a@b.example right", "a@b.example wrong", "b@b.example x", "c@b.example x"} {
			address, password, _ := strings.Cut(login, " ")
			err := users.Password(t.Context(), address, password)
			code, _, _ := status.Reply(err)
			if err == nil {
				got = append(got, "ok")
			} else {
				got = append(got, fmt.Sprint(code))
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q: %s, want %s", text, s, want)
		}
	}
}

func TestHash(t *testing.T) {
	for _, scheme := range append(Schemes(), "", "sha512-crypt") {
		hash, err := Hash(scheme, "pa ss'wörd")
		if err != nil {
			t.Fatal(scheme, err)
		}
		want := strings.ToUpper(scheme)
		if want == "" {
			want = "SHA512-CRYPT"
		}
		if !strings.HasPrefix(hash, "{"+want+"}") || strings.ContainsAny(hash, ":\n") {
			t.Errorf("%s: %q", scheme, hash)
		}
		c := settings(t, "a@b.example:"+hash+":::::")
		if _, err := Check(c, "a@b.example", "pa ss'wörd"); err != nil {
			t.Errorf("%s: %v", hash, err)
		}
		wantRefused(t, c, "a@b.example", "pa ss'word")
	}
}

func TestHashIsSalted(t *testing.T) {
	for _, scheme := range Schemes()[:6] {
		a, _ := Hash(scheme, "x")
		if b, _ := Hash(scheme, "x"); a == b {
			t.Errorf("%s: twice the same hash", scheme)
		}
	}
}

func TestHashRefuses(t *testing.T) {
	for _, tt := range [][2]string{{"", ""}, {"MD5", "x"}, {"", "a\nb"}, {"", "a\x00b"}, {"", strings.Repeat("x", 257)},
		{"", "a\tb"}, {"", "a\x7f"}, {"", "caf\xe9"}, {"", "\x1b[A"}, {"PLAIN", "a\tb"}, {"SCRAM-SHA-256", "a\x7fb"},
		{"BLF-CRYPT", strings.Repeat("x", 73)}, {"PLAIN", "a:b"}, {"PLAIN", "*"}} {
		if h, err := Hash(tt[0], tt[1]); status.Exit(err) != status.Usage {
			t.Errorf("Hash(%q, %.10q) = %q, %v", tt[0], tt[1], h, err)
		}
	}
}

// A password that is too long is wrong before it is hashed: this hash cannot be
// checked, so any other password fails temporarily.
func TestTooLongIsNotHashed(t *testing.T) {
	c := settings(t, "a@b.example:{NOSUCH}x", "plain@b.example:{PLAIN}"+strings.Repeat("x", 256), "long@b.example:{PLAIN}"+strings.Repeat("x", 257))
	if _, err := Check(c, "a@b.example", strings.Repeat("x", 256)); status.Exit(err) != status.TempFail {
		t.Error(err)
	}
	if _, err := Check(c, "plain@b.example", strings.Repeat("x", 256)); err != nil {
		t.Error(err)
	}
	for _, login := range []string{"a@b.example", "long@b.example", "nobody@b.example"} {
		wantRefused(t, c, login, strings.Repeat("x", 257))
	}
}

// An unknown login costs what a known one does: as many hashes, of the same cost. The
// hashes are counted, since timing tells little on a busy machine.
func TestUnknownUserCostsTheSame(t *testing.T) {
	for name, hash := range foreignHashes() {
		rows := map[string][]string{"rows": {"a@b.example:" + hash, "b@b.example:" + hash}}
		rows["a program"] = []string{"once:" + script(t, `case $1 in
a@b.example) echo '`+rows["rows"][0]+`' ;;
*) exit 67 ;;
esac
`)}
		for kind, rows := range rows {
			c := settings(t, rows...)
			did := func(login string) string {
				var log string
				if _, err := c.LoginUser("a@b.example"); err != nil { // a program's first answer shows what its rows are like
					t.Fatal(err)
				}
				check(c, login, "wrong", func(w work, _ func() error) error {
					u, _ := c.LoginUser(login)
					field, err := fieldFor(c, u, login)
					log += fmt.Sprint(w, field == hash, err)
					return refused()
				})
				return log
			}
			if known, unknown := did("a@b.example"), did("nobody@b.example"); known != unknown || known == "" {
				t.Errorf("%s, %s: a known login does %q, an unknown one %q", kind, name, known, unknown)
			}
		}
	}
}

// A program that looks up users is run for each login attempt, even for a user who was
// looked up before: an existing login is not answered faster.
func TestProgramRunsForEachTry(t *testing.T) {
	ran := filepath.Join(t.TempDir(), "ran")
	c := settings(t, "once:"+script(t, `echo $1 >>`+ran+`
case $1 in
a@b.example) echo 'a@b.example:{PLAIN}secret' ;;
*) exit 67 ;;
esac
`))
	for _, login := range []string{"a@b.example", "nobody@b.example"} {
		if _, err := c.User(login); err != nil { // as mail for this user does
			t.Fatal(err)
		}
		os.Remove(ran)
		users := &Users{Control: c}
		for range 3 {
			users.Password(context.Background(), login, "wrong")
			users.Keys(context.Background(), login)
		}
		if log, err := os.ReadFile(ran); err != nil || strings.Count(string(log), login+"\n") != 6 {
			t.Errorf("%s: %q, %v", login, log, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	for _, hash := range foreignHashes() {
		f.Add(hash)
	}
	f.Add("{PLAIN.hex}00")
	f.Add("{ARGON2ID}$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aaaaaaaaaaaaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, hash string) {
		start := time.Now()
		verify(hash, "correct horse")
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%q took %v", hash, d)
		}
	})
}

// writeControl writes a file of control/.
func writeControl(t testing.TB, c *control.Control, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.Home(), "control", name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
