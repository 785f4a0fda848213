package control

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"paperpath/internal/dir"
)

// AddDKIMKey writes the text of a private key as the key of a selector, which must be
// new. It does not sign until SetDKIMActive says so.
func (c *Control) AddDKIMKey(domain, selector string, text []byte) error {
	domain, err := DKIMDomain(domain)
	if err == nil {
		err = CheckSelector(selector)
	}
	if err != nil {
		return refuse("%v", err)
	}
	unlock, err := c.lock()
	if err != nil {
		return broken(err)
	}
	defer unlock()
	for _, sub := range []string{"dkim", "dkim/" + domain} {
		if err := dir.Make(c.path(sub), 0o700); err != nil {
			return broken(fmt.Errorf("make control/%s: %w", sub, err))
		}
	}
	name := "dkim/" + domain + "/" + selector + dkimSuffix
	if _, err := os.Lstat(c.path(name)); err == nil {
		return refuse("control/%s is there already", name)
	} else if !plainAbsent(err) {
		return failFile(name, "%w", plain(err))
	}
	if err := Write(c.path(name), text, 0o600); err != nil {
		return broken(fmt.Errorf("write control/%s: %w", name, err))
	}
	return nil
}

// SetDKIMActive makes keys of a domain sign, and others no longer. Other lines of the
// list, comments too, stay as they are.
func (c *Control) SetDKIMActive(domain string, on, off []string) error {
	domain, err := DKIMDomain(domain)
	if err != nil {
		return refuse("%v", err)
	}
	unlock, err := c.lock()
	if err != nil {
		return broken(err)
	}
	defer unlock()
	f := dkimActiveFile(domain)
	data, _, err := read(c.path(f.name), f.max)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return failFile(f.name, "%w", err)
	}
	edited := []byte(editActive(string(data), on, off))
	if _, err := f.parse(f.name, edited); err != nil {
		return err
	}
	if err := Write(c.path(f.name), edited, 0o600); err != nil {
		return broken(fmt.Errorf("write control/%s: %w", f.name, err))
	}
	return nil
}

// editActive removes the lines of off and adds those of on that are missing.
func editActive(text string, on, off []string) string {
	has := map[string]bool{}
	var b strings.Builder
	for l := range strings.Lines(text) {
		item := strings.Trim(l, " \t\n")
		has[item] = true
		if !slices.Contains(off, item) {
			b.WriteString(strings.TrimSuffix(l, "\n") + "\n")
		}
	}
	for _, s := range on {
		if !has[s] {
			b.WriteString(s + "\n")
		}
	}
	return b.String()
}
