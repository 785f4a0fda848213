package mailctl

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paperpath/internal/addr"
	"paperpath/internal/certs"
	"paperpath/internal/control"
	"paperpath/internal/dir"
)

// certificate makes a self-signed certificate if the host has none; one rename puts
// both files in place.
func (i Init) certificate() error {
	host, err := control.Open(i.Dir, time.Now).Hostname()
	if err != nil {
		return err
	}
	host = addr.FoldDomain(host)
	tls := filepath.Join(i.Dir, "control", "tls")
	if err := dir.Make(tls, 0o700); err != nil {
		return err
	}
	if names, err := os.ReadDir(filepath.Join(tls, host)); err == nil && len(names) > 0 {
		return nil
	}
	draft := filepath.Join(tls, ".new")
	if err := os.RemoveAll(draft); err != nil {
		return err
	}
	if err := dir.Make(draft, 0o700); err != nil {
		return err
	}
	names := append([]string{"localhost", "127.0.0.1", "::1"}, i.hostDomains(host)...)
	if err := certs.SelfSigned(draft, host, names, i.Now); err != nil {
		return err
	}
	if err := os.Rename(draft, filepath.Join(tls, host)); err != nil {
		return err
	}
	return dir.Sync(tls)
}

// hostDomains returns the domains other than host that a certificate can name.
func (i Init) hostDomains(host string) []string {
	return slices.DeleteFunc(slices.Clone(i.Domains), func(d string) bool { return d == host || d[0] == '[' })
}

// signingKeys makes keys for the domains that have none. They do not sign before their
// records are in the DNS and a person says so.
func (i Init) signingKeys() error {
	d := DKIM{Control: control.Open(i.Dir, time.Now), Now: i.Now, generate: i.generate}
	domains, err := d.Control.Domains()
	if err != nil {
		return nil // the findings at the end will tell
	}
	for _, text := range domains {
		domain, err := control.DKIMDomain(text)
		if err != nil || !strings.Contains(domain, ".") {
			continue // nobody can publish a key there
		}
		all, _, err := d.Control.DKIMSelectors(domain)
		if err != nil {
			return err
		}
		if len(all) > 0 {
			continue
		}
		if _, err := d.makePair(domain); err != nil {
			return err
		}
		fmt.Fprintf(i.Notes, "control/dkim has a key for %[1]s, which does not sign yet: "+
			"mailctl --home %[2]s dkim show %[1]s\n", domain, i.Dir)
	}
	return nil
}
