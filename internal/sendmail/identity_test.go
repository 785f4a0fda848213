package sendmail

import (
	"fmt"
	"strings"
	"testing"

	"paperpath/internal/status"
)

func TestIdentity(t *testing.T) {
	for _, c := range []struct {
		name, env string
		o         Options
		want      string // author, sender, name
	}{
		{name: "nothing", want: "login@example.net, login@example.net, "},
		{name: "USER", env: "USER=u", want: "u@example.net, u@example.net, "},
		{name: "LOGNAME", env: "LOGNAME=l", want: "l@example.net, l@example.net, "},
		{name: "USER before LOGNAME", env: "USER=u|LOGNAME=l", want: "u@example.net, u@example.net, "},
		{name: "MAILUSER before USER", env: "MAILUSER=m|USER=u", want: "m@example.net, m@example.net, "},
		{name: "nullmailer", env: "NULLMAILER_USER=n|MAILUSER=m|NULLMAILER_HOST=h.example|MAILHOST=i.example|NULLMAILER_NAME=N|MAILNAME=M", want: "n@h.example, n@h.example, N"},
		{name: "qmail", env: "QMAILUSER=q|NULLMAILER_USER=n|QMAILHOST=q.example|MAILHOST=i.example|QMAILNAME=Q|NAME=X", want: "q@q.example, q@q.example, Q"},
		{name: "a host alone", env: "MAILHOST=h.example", want: "login@h.example, login@h.example, "},
		{name: "NAME", env: "NAME=Jo Doe", want: "login@example.net, login@example.net, Jo Doe"},
		{name: "-F before all names", env: "NAME=n|QMAILNAME=q", o: Options{FullName: "F"}, want: "login@example.net, login@example.net, F"},
		{name: "EMAIL", env: "EMAIL=Jo <jo@x.example>|USER=u", want: "jo@x.example, jo@x.example, "},
		{name: "EMAIL without a domain", env: "EMAIL=jo", want: "jo@example.net, jo@example.net, "},
		{name: "MAILUSER before EMAIL", env: "EMAIL=jo@x.example|MAILUSER=m", want: "m@example.net, m@example.net, "},
		{name: "EMAIL that is invalid", env: "EMAIL=who knows", want: "login@example.net, login@example.net, "},
		{name: "sender's own", env: "QMAILUSER=q|QMAILSUSER=s|QMAILSHOST=s.example", want: "q@example.net, s@s.example, "},
		{name: "sender's user", env: "NULLMAILER_SUSER=s|MAILHOST=h.example", want: "login@h.example, s@h.example, "},
		{name: "sender's host", env: "NULLMAILER_SHOST=s.example", want: "login@example.net, login@s.example, "},
		{name: "-f is in From too", o: Options{Sender: "f@x", SenderSet: true}, want: "f@x, f@x, "},
		{name: "-f and USER", env: "USER=u", o: Options{Sender: "f", SenderSet: true}, want: "f@example.net, f@example.net, "},
		{name: "-f and QMAILUSER", env: "QMAILUSER=q|QMAILSUSER=s", o: Options{Sender: "f@x", SenderSet: true}, want: "q@example.net, f@x, "},
		{name: "-f and EMAIL", env: "EMAIL=jo@x.example", o: Options{Sender: "f@x", SenderSet: true}, want: "jo@x.example, f@x, "},
		{name: "null", o: Options{Sender: "<>", SenderSet: true}, want: "login@example.net, , "},
		{name: "empty", o: Options{Sender: "", SenderSet: true}, want: "login@example.net, , "},
		{name: "a name to quote", env: "MAILUSER=Jo Doe", want: `"Jo Doe"@example.net, "Jo Doe"@example.net, `},
		{name: "invalid USER", env: "USER=a\x01b|LOGNAME=l", want: "l@example.net, l@example.net, "},
		{name: "invalid MAILUSER", env: "MAILUSER=a\nb", want: "64"},
		{name: "invalid MAILHOST", env: "MAILHOST=a b", want: "64"},
		{name: "invalid QMAILSHOST", env: "QMAILSHOST=-", want: "64"},
	} {
		vars := map[string]string{}
		for _, kv := range strings.Split(c.env, "|") {
			k, v, _ := strings.Cut(kv, "=")
			vars[k] = v
		}
		p, err := identityOf(c.o, "login", "example.net", func(k string) string { return vars[k] })
		got := fmt.Sprintf("%s, %s, %s", p.Author.Address, p.Sender, p.Author.Name)
		if err != nil {
			got = fmt.Sprint(status.Exit(err))
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s (%v)", c.name, got, c.want, err)
		}
	}
}
