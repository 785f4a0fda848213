package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// readDKIM reads the directory itself; checkDKIM reads what is in it.
func (c *Control) readDKIM() error {
	if _, err := os.ReadDir(c.path("dkim")); err != nil && !plainAbsent(err) && !c.closed(err) && isDir(c.path("dkim")) {
		return failFile("dkim", "%w", plain(err))
	}
	return nil
}

// closed reports whether a directory cannot be read because it is the own one of mailrelay's user.
func (c *Control) closed(err error) bool {
	return errors.Is(err, fs.ErrPermission) && MailGroup(c.home) != 0
}

// ofRelay is what a check says of it.
const ofRelay = "not looked at: only mailrelay's user can read it"

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// checkDKIM examines all of control/dkim: a key or a list that cannot be used is an
// error, one that others can read a warning.
func (c *Control) checkDKIM(r *Report) {
	entries, err := os.ReadDir(c.path("dkim"))
	if c.closed(err) {
		r.InForce = append(r.InForce, Value{Setting: "dkim", Text: ofRelay + " (mailctl dkim show)", From: "control/dkim"})
		return
	}
	if err != nil {
		r.InForce = append(r.InForce, Value{Setting: "dkim", Text: c.setting("dkim").Holds(), From: fromDefault})
		return // readDKIM has told why, if there is one
	}
	c.checkPrivate(r, "dkim", 0o700)
	for _, e := range entries {
		name := "dkim/" + e.Name()
		domain, err := DKIMDomain(e.Name())
		switch {
		case PassedOver(e.Name()), e.Name() == "lost+found":
		case err != nil, domain != e.Name(), !isDir(c.path(name)):
			r.error(failFile(name, "is not the directory of a domain (in lower case, with A-labels)"))
		default:
			c.checkDKIMDomain(r, domain)
		}
	}
}

// checkDKIMDomain examines the directory of one domain.
func (c *Control) checkDKIMDomain(r *Report, domain string) {
	dir := "dkim/" + domain
	entries, err := os.ReadDir(c.path(dir))
	if err != nil {
		r.error(failFile(dir, "%w", plain(err)))
		return
	}
	for _, e := range entries {
		selector, isKey := strings.CutSuffix(e.Name(), dkimSuffix)
		name := dir + "/" + e.Name()
		switch {
		case PassedOver(e.Name()), e.Name() == dkimActive:
		case !isKey || CheckSelector(selector) != nil:
			r.error(failFile(name, "unknown setting (keys are SELECTOR%s, see control(5))", dkimSuffix))
		default:
			if _, _, err := load(c, dkimKeyFile(domain, selector)); err != nil {
				r.error(err)
			}
			c.checkPrivate(r, name, 0o600)
		}
	}
	c.checkActive(r, domain)
}

// checkActive examines which keys of a domain sign.
func (c *Control) checkActive(r *Report, domain string) {
	list, _, err := load(c, dkimActiveFile(domain))
	name := "dkim/" + domain + "/" + dkimActive
	if err != nil {
		r.error(err)
		return
	}
	var names []string
	for _, l := range list {
		names = append(names, l.text)
		if _, err := os.Stat(c.path("dkim/" + domain + "/" + l.text + dkimSuffix)); errors.Is(err, fs.ErrNotExist) {
			r.error(fail(name, l.n, "there is no key %s%s (mailctl dkim new makes keys)", l.text, dkimSuffix))
		}
	}
	if len(names) > 0 {
		r.InForce = append(r.InForce, Value{Setting: "dkim", Key: domain, Text: strings.Join(names, " "),
			From: "control/" + name})
	}
}

// checkPrivate warns of what should be its owner's alone.
func (c *Control) checkPrivate(r *Report, name string, want fs.FileMode) {
	info, err := os.Stat(c.path(name))
	if err != nil || info.Mode().Perm()&^want == 0 {
		return
	}
	r.warn(name, 0, "others than its owner have access to it", fmt.Sprintf("chmod %o %s", want, c.path(name)))
}
