package auth

import (
	"strings"
	"testing"
)

func TestSplitLogin(t *testing.T) {
	for _, row := range []struct {
		login, address, folder string
		readOnly, bad          bool
	}{
		{login: "alice", address: "alice"},
		{login: "alice!", address: "alice!"}, // a local part may end so
		{login: "alice+x", address: "alice+x"},
		{login: "alice@example.net", address: "alice@example.net"},
		{login: "alice+x@example.net", address: "alice+x@example.net"},
		{login: "alice@example.net!", address: "alice@example.net", readOnly: true},
		{login: "alice@example.net+Junk", address: "alice@example.net", folder: "Junk"},
		{login: "alice@example.net+Junk!", address: "alice@example.net", folder: "Junk", readOnly: true},
		{login: "alice@example.net+Lists.go", address: "alice@example.net", folder: "Lists.go"},
		{login: "alice@example.net+Sent Items", address: "alice@example.net", folder: "Sent Items"},
		{login: "alice@example.net+Entw&APw-rfe", address: "alice@example.net", folder: "Entw&APw-rfe"},
		{login: "alice@example.net+a+b", address: "alice@example.net", folder: "a+b"},
		{login: `"a@b"@example.net+x`, address: `"a@b"@example.net`, folder: "x"},
		{login: "alice@example.net+", bad: true},
		{login: "alice@example.net+!", bad: true},
		{login: "alice@example.net+.", bad: true},
		{login: "alice@example.net+..", bad: true},
		{login: "alice@example.net+../../bob/Maildir", bad: true},
		{login: "alice@example.net+a/b", bad: true},
		{login: "alice@example.net+.a", bad: true},
		{login: "alice@example.net+a.", bad: true},
		{login: "alice@example.net+a..b", bad: true},
		{login: "alice@example.net+ a", bad: true},
		{login: "alice@example.net+ä", bad: true},
		{login: "alice@example.net+a\x00", bad: true},
		{login: "alice@example.net+" + strings.Repeat("a", maxFolder+1), bad: true},
	} {
		address, v, ok := SplitLogin(row.login)
		if ok == row.bad || ok && (address != row.address || v != View{row.folder, row.readOnly}) {
			t.Errorf("SplitLogin(%.40q) = %q, %+v, %v", row.login, address, v, ok)
		}
	}
}
