package control

import (
	"path/filepath"
	"strings"
	"testing"
)

func FuzzUsers(f *testing.F) {
	f.Add("a@b.example:{PLAIN}x:1:2:g:mail/b.example/a:/sh:k=v\n")
	f.Add("a@b.example:*\n# x\n\nb@b.example:::::/abs\n")
	f.Add("a/../b@b.example:\n")
	f.Add("\"a:b\"@c.example:x\n")
	f.Fuzz(func(t *testing.T, text string) {
		users, err := parseUsers("/home/paperpath", "users", []byte(text))
		if err != nil {
			wantPlace(t, "users", err)
			return
		}
		for _, u := range users.users {
			if !filepath.IsAbs(u.Home) || filepath.Clean(u.Home) != u.Home || strings.Contains(u.Home, "/../") {
				t.Errorf("home %q", u.Home)
			}
			if strings.ContainsAny(u.Address+u.Home+u.Hash, "\r\n\x00\x1b") {
				t.Errorf("control characters in %+v", u)
			}
			if !strings.HasPrefix(u.Home, "/home/paperpath/") && !strings.Contains(text, ":/") {
				t.Errorf("home %q is outside", u.Home)
			}
		}
	})
}

func FuzzAliases(f *testing.F) {
	f.Add("a: b, c@d.example,\n \"e f\"\n# x\n")
	f.Add("\"a b\"@c.example: |x\n")
	f.Add("a: \"\\\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		aliases, err := parseAliases("aliases", []byte(text))
		if err != nil {
			wantPlace(t, "aliases", err)
			return
		}
		for key, a := range aliases {
			for _, target := range append([]string{key}, a.Targets...) {
				if target == "" || strings.ContainsAny(target, "\r\n\x00\x1b") || strings.ContainsAny(strings.TrimPrefix(target, `\`)[:1], "|/:\\") && target != key {
					t.Errorf("target %q of %q", target, key)
				}
			}
		}
	})
}

func FuzzTables(f *testing.F) {
	f.Add("a.example: b.example:25\n.: 127.0.0.1:2525\n")
	f.Add("[IPv6:::1]: [::1]:25\n")
	f.Add("steps: 1m 2h\nlifetime: 5d\nattempts: 1\n")
	f.Add("x: @a.example *\n")
	f.Add("mailroute watch 'a b'\n")
	f.Add("192.0.2.0/24\n")
	f.Fuzz(func(t *testing.T, text string) {
		data := []byte(text)
		_, err := parseRoutes("x", data)
		wantPlace(t, "x", err)
		_, err = parseSenders("x", data)
		wantPlace(t, "x", err)
		_, err = parseRetry("x", data)
		wantPlace(t, "x", err)
		_, err = parseNetworks("x", data)
		wantPlace(t, "x", err)
		_, err = parseDomains("x", data)
		wantPlace(t, "x", err)
		_, err = parseServices("x", data)
		wantPlace(t, "x", err)
		_, err = parseNumbers("x", data, names(limitKeys()))
		wantPlace(t, "x", err)
	})
}

// wantPlace checks that an error names file and line on one line of text.
func wantPlace(t *testing.T, name string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if s := err.Error(); !strings.HasPrefix(s, "control/"+name+":") || strings.ContainsAny(s, "\r\n\x00\x1b") {
		t.Errorf("error %q", s)
	}
}
