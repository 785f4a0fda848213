package relay

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/emersion/go-smtp"

	"paperpath/internal/addr"
	"paperpath/internal/smtpd"
)

// handed are the parameters that the next host gets as smtpd received them.
var handed = map[string]func(*backend) bool{
	"RET":        func(b *backend) bool { return b.mails[0].Return == smtp.DSNReturnHeaders },
	"ENVID":      func(b *backend) bool { return b.mails[0].EnvelopeID == "q+7" },
	"REQUIRETLS": func(b *backend) bool { return b.mails[0].RequireTLS },
	"NOTIFY":     func(b *backend) bool { return len(b.rcpts[0].Notify) == 2 },
	"ORCPT":      func(b *backend) bool { return b.rcpts[0].OriginalRecipient == "a+b@example.org" },
}

// notHanded are the others, and why.
var notHanded = map[string]string{
	"SIZE":     "RFC 1870: the message is measured as it is sent, with our Received (TestServer)",
	"BODY":     "RFC 6152 2: said where the text has 8-bit octets (TestBody)",
	"SMTPUTF8": "RFC 6531 3.2: asked for where address or header need it (TestUTF8)",
	"AUTH":     "RFC 4954 5: we trust no client to say who wrote a message, so we do not repeat it",
}

// TestEveryParameter: each ESMTP parameter that smtpd accepts is handed on to a host
// that takes it, or there is a reason why not.
func TestEveryParameter(t *testing.T) {
	conf := serverTLS(t)
	l := newLab(t)
	l.trust(conf)
	b := newServer(t, l, func(s *smtp.Server) { s.TLSConfig, s.EnableREQUIRETLS = conf, true })
	m := l.message(letter, far)
	to, err := addr.Parse(far)
	if err != nil {
		t.Fatal(err)
	}
	m.From.Params = smtpd.MailParams{Ret: "HDRS", EnvID: "q+2B7", RequireTLS: true}.Words()
	m.To[0].Params = smtpd.RcptParams{Notify: "SUCCESS,FAILURE", Orcpt: "rfc822;a+2Bb@example.org"}.Words(to)
	if err := l.sendMessage(m)[0].Err; err != nil {
		t.Fatal(err)
	}
	accepted := parameters(t)
	for name := range accepted {
		arrived, ok := handed[name]
		switch {
		case ok && !arrived(b):
			t.Errorf("%s did not arrive: %+v, %+v", name, b.mails[0], b.rcpts[0])
		case !ok && notHanded[name] == "":
			t.Errorf("smtpd accepts %s: hand it on in transaction.go and add it to handed, or say in notHanded why not", name)
		}
	}
	if len(accepted) != len(handed)+len(notHanded) {
		t.Errorf("smtpd accepts %v; handed and notHanded name others too", accepted)
	}
}

// An original recipient beyond ASCII is handed on (RFC 6533 3), as any host reads it.
func TestOriginalRecipientInUTF8(t *testing.T) {
	l := newLab(t)
	b := newServer(t, l, func(*smtp.Server) {})
	m := l.message(letter, far)
	m.To[0].Params = "ORCPT=utf-8;f\u00e4r@example.org"
	if err := l.sendMessage(m)[0].Err; err != nil {
		t.Fatal(err)
	}
	if o := b.rcpts[0]; o.OriginalRecipientType != smtp.DSNAddressTypeUTF8 || o.OriginalRecipient != "f\u00e4r@example.org" {
		t.Errorf("%+v", o)
	}
}

// parameters are the names that smtpd's mailParam and rcptParams have a case for.
func parameters(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../smtpd/*.go")
	if err != nil {
		t.Fatal(err)
	}
	names, functions := map[string]bool{}, 0
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && (f.Name.Name == "mailParam" || f.Name.Name == "rcptParams") {
				functions++
				cases(f, names)
			}
		}
	}
	if functions != 2 {
		t.Fatalf("%d of mailParam and rcptParams are in smtpd", functions)
	}
	return names
}

// cases adds the strings of all cases in f to names.
func cases(f ast.Node, names map[string]bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if c, ok := n.(*ast.CaseClause); ok {
			for _, e := range c.List {
				if lit, ok := e.(*ast.BasicLit); ok {
					name, _ := strconv.Unquote(lit.Value)
					names[name] = true
				}
			}
		}
		return true
	})
}
