package check

import (
	"strings"
	"testing"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/status"
)

func TestSender(t *testing.T) {
	c := settings(t, "senders", "alice@example.net: office@example.net @lists.example.net \"ceo\"@example.net\n"+
		"boss@example.net: *\nlocal/www-data: shop@example.net\n")
	all := settings(t, "senders", "local: noreply@example.net\nlocal/root: *\n")
	none := settings(t)
	wild := settings(t, "senders", "local/1000: *\nlocal/www-data: shop@example.net\n*@example.org: alice local/ann\n"+
		"@b\u00fccher.example: alice@example.org\nlocal: noreply@example.net\n")
	resolve := func(a addr.Address) ([]addr.Address, error) {
		switch a.Key() {
		case "team@example.net":
			return []addr.Address{{Local: "bob", Domain: "example.net"}, {Local: "Alice+team", Domain: "example.net"}}, nil
		case "other@example.net":
			return []addr.Address{{Local: "bob", Domain: "example.net"}}, nil
		}
		return nil, &status.Error{Exit: status.NoMailbox, Reply: 550, Enhanced: "5.1.1", Text: "no such mailbox"}
	}
	for _, x := range []struct {
		name, login, local, uid, address string
		settings                         int
		want                             bool
	}{
		{name: "own", login: "alice@example.net", address: "alice@example.net", want: true},
		{name: "own in capitals", login: "alice@example.net", address: "ALICE@Example.NET", want: true},
		{name: "own quoted", login: "alice@example.net", address: `"alice"@example.net`, want: true},
		{name: "extension", login: "alice@example.net", address: "alice+news@example.net", want: true},
		{name: "quoted extension", login: "alice@example.net", address: `"alice+news"@example.net`, want: true},
		{name: "no extension", login: "alice@example.net", address: `"alice+ <boss@victim.example>"@example.net`},
		{name: "no extension either", login: "alice@example.net", address: `"alice+boss@victim.example"@example.net`},
		{name: "local row, no extension", local: "www-data", address: `"www-data+ <x@y>"@example.net`},
		{name: "other domain", login: "alice@example.net", address: "alice@example.com"},
		{name: "longer name", login: "alice@example.net", address: "alice2@example.net"},
		{name: "name with more", login: "alice@example.net", address: "alicex+y@example.net"},
		{name: "another's", login: "alice@example.net", address: "bob@example.net"},
		{name: "no domain", login: "alice@example.net", address: "alice"},
		{name: "alias to them", login: "alice@example.net", address: "team@example.net", want: true},
		{name: "alias to another", login: "alice@example.net", address: "other@example.net"},
		{name: "null", login: "alice@example.net", want: true},
		{name: "row", login: "alice@example.net", address: "Office@example.net", want: true},
		{name: "row, extension of it", login: "alice@example.net", address: "office+x@example.net"},
		{name: "row, domain", login: "alice@example.net", address: "any@LISTS.example.net", want: true},
		{name: "row, domain below", login: "alice@example.net", address: "any@x.lists.example.net"},
		{name: "row, local part that ends like it", login: "alice@example.net", address: `"x@lists.example.net"@evil.example`},
		{name: "row, quoted", login: "alice@example.net", address: "ceo@example.net", want: true},
		{name: "row, any", login: "boss@example.net", address: "x@y.example", want: true},
		{name: "row of another", login: "bob@example.net", address: "office@example.net"},

		{name: "local, no rows", settings: 2, local: "www-data", address: "x@y.example", want: true},
		{name: "local, other row", local: "root", address: "x@y.example", want: true},
		{name: "local row", local: "www-data", address: "shop@example.net", want: true},
		{name: "local row, own", local: "www-data", address: "www-data+x@example.com", want: true},
		{name: "local row, own name elsewhere", local: "www-data", address: "www-data@elsewhere.example"},
		{name: "local row, another's", local: "www-data", address: "root@example.net"},
		{name: "local row, null", local: "www-data", want: true},
		{name: "local row by uid", settings: 3, local: "joe", uid: "1000", address: "x@y.example", want: true},
		{name: "local row by uid, no name", settings: 3, uid: "1000", address: "x@y.example", want: true},
		{name: "local row by uid, another", settings: 3, local: "joe", uid: "1001", address: "x@y.example"},
		{name: "name before uid", settings: 3, local: "www-data", uid: "1000", address: "x@y.example"},
		{name: "local by wildcard", settings: 3, local: "ann", address: "any@example.org", want: true},
		{name: "login by wildcard", settings: 3, login: "alice@example.org", address: "any@example.org", want: true},
		{name: "login not in the wildcard", settings: 3, login: "bob@example.org", address: "any@example.org"},
		{name: "wildcard, a domain below", settings: 3, login: "alice@example.org", address: "any@a.example.org"},
		{name: "wildcard in the other spelling", settings: 3, login: "alice@example.org", address: "x@xn--bcher-kva.example", want: true},
		{name: "local for all", settings: 1, local: "joe", address: "noreply@example.net", want: true},
		{name: "local for all, another's", settings: 1, local: "joe", address: "ann@example.net"},
		{name: "local for all, own row first", settings: 1, local: "root", address: "ann@example.net", want: true},
	} {
		var a addr.Address
		if x.address == "alice" {
			a.Local = x.address
		} else if x.address != "" {
			var err error
			if a, err = addr.Parse(x.address); err != nil {
				t.Fatal(err)
			}
		}
		err := Sender([]*control.Control{c, all, none, wild}[x.settings], Submitter{Login: x.login, User: x.local, UID: x.uid}, a, resolve, nil)
		if (err == nil) != x.want {
			t.Errorf("%s: %v", x.name, err)
		}
		if code, enhanced, _ := status.Reply(err); err != nil && (code != 550 || enhanced != "5.7.1" || status.Exit(err) != status.NotAllowed) {
			t.Errorf("%s: %d %s, exit %d", x.name, code, enhanced, status.Exit(err))
		}
	}
}

// TestClaims: what another program may read as another author is refused if the
// submitter is restricted.
func TestClaims(t *testing.T) {
	rows := settings(t, "senders", "local/www-data: shop@example.net\nlocal/root: *\n")
	for _, x := range []struct {
		header     string
		restricted int // exit status
		login      int // of alice
	}{
		{"From: www-data@example.net", 0, status.NotAllowed},
		{"From: alice@example.net", status.NotAllowed, 0},
		{"From: boss@victim.example <www-data@example.net>", status.Refused, status.Refused},
		{"From: boss@victim.example <alice@example.net>", status.Refused, status.Refused},
		{"From: boss @ victim . example (x) <alice@example.net>", status.Refused, status.Refused},
		{"From: boss@victim.example\n <alice@example.net>", status.Refused, status.Refused},
		{"From: \"boss\"@victim.example <alice@example.net>", status.Refused, status.Refused},
		{"From: <alice@example.net> boss@victim.example", status.Refused, status.Refused},
		{"From: <alice@example.net> <boss@victim.example>", status.Refused, status.Refused},
		{"From: <boss@victim.example>, <alice@example.net>", status.NotAllowed, status.NotAllowed},
		{"From: alice@example.net\nFrom: boss@victim.example", status.NotAllowed, status.NotAllowed},
		{"From: boss@victim.example: alice@example.net;", status.Refused, status.Refused},
		{"From: Us: alice@example.net, boss@victim.example;", status.NotAllowed, status.NotAllowed},
		{"From: <@victim.example:alice@example.net>", status.Refused, status.Refused},
		{"From: <alice@example.net", status.Refused, status.Refused},
		{"From: alice@example.net\x00", status.Refused, status.Refused},
		{"From: <>", status.Refused, status.Refused},
		{"From: =?utf-8?q?boss=40victim.example?=", status.NotAllowed, status.NotAllowed},
		{"From: boss=?utf-8?q?=40?=victim.example <alice@example.net>", status.NotAllowed, 0},
		{"From: \"alice+ <boss@victim.example>\"@example.net", status.NotAllowed, status.NotAllowed},
		{"Sender: boss@victim.example <alice@example.net>", status.Refused, status.Refused},
		{"Resent-From: a b c", status.Refused, status.Refused},
		{"Resent-Sender: (boss@victim.example)", status.Refused, status.Refused},
		{"Reply-To: a b c", 0, 0},

		// What real programs write, also in obsolete forms (RFC 5322 4.4).
		{"From: Alice Q. Public <alice@example.net>", status.NotAllowed, 0},
		{"From: \"boss@victim.example\" <alice@example.net>", status.NotAllowed, 0},
		{"From: (boss@victim.example) alice @ example . net (Alice)", status.NotAllowed, 0},
		{"From: =?utf-8?q?boss=40victim=2Eexample?= <alice@example.net>", status.NotAllowed, 0},
		{"From: alice@example.net <ALICE@example.net>", status.NotAllowed, 0},
		{"From: , Alice <alice+x@example.net>,", status.NotAllowed, 0},
		{"From: Us: alice@example.net;", status.NotAllowed, 0},
	} {
		h, err := message.Read(strings.NewReader(x.header+"\n\n"), 1000, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, y := range []struct {
			who  Submitter
			want int
		}{{Submitter{User: "www-data"}, x.restricted}, {Submitter{Login: "alice@example.net"}, x.login}, {Submitter{User: "root"}, 0}, {Submitter{User: "joe"}, 0}} {
			err := Claims(rows, y.who, h, "example.net", nil, nil)
			if status.Exit(err) != y.want {
				t.Errorf("%q by %s: exit %d, %v, want %d", x.header, y.who, status.Exit(err), err, y.want)
			}
		}
	}
}
