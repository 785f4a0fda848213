package route

import (
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/control"
	"paperpath/internal/params"
	"paperpath/internal/spool"
	"paperpath/internal/status"
)

// CommandFor returns the program or file that recipient r of an entry in deliver/ is for;
// nil without an error: r is for a mailbox. The queue has no commands: the alias is looked
// up again, and where it no longer has that command the error has exit status 67. Every
// other error is temporary.
func CommandFor(c *control.Control, r spool.Recipient) (*control.Command, error) {
	id := params.Get(r.Params, params.Alias)
	if id == "" {
		return nil, nil
	}
	a, err := addr.Parse(r.Addr)
	if err != nil {
		return nil, status.Refuse("5.1.3", "the recipient is not a valid address")
	}
	row, err := aliasOf(c, a)
	if err != nil {
		return nil, err
	}
	if row != nil {
		for _, target := range row.Targets {
			if command := control.NewCommand(target, nameIn(row, a), row.Where); command != nil && command.ID() == id {
				return command, nil
			}
		}
	}
	return nil, NoMailbox(a)
}

// nameIn is the address that row has for a, without the extension that a may have behind it.
func nameIn(row *control.Alias, a addr.Address) string {
	name := control.InDomain(row.Name, a.Domain)
	if strings.HasPrefix(name, "@") {
		return a.String()
	}
	return name
}

// aliasOf returns the row of control/aliases that resolver.local finds for a; nil without
// an error: there is none.
func aliasOf(c *control.Control, a addr.Address) (*control.Alias, error) {
	if _, local, err := c.IsLocal(a.Domain); err != nil || !local {
		return nil, err
	}
	names, err := Names(c, a)
	if err != nil {
		return nil, err
	}
	for _, form := range names {
		if row, err := c.Alias(form.String()); row != nil || err != nil {
			return row, err
		}
		if u, err := c.Owner(form.String()); u != nil || err != nil {
			return nil, err
		}
		if err := c.AliasHidden(); err != nil {
			return nil, err
		}
	}
	return c.DomainAlias(a.Domain)
}

// forCommand is recipient r for the command of a target.
func forCommand(r spool.Recipient, t Target) spool.Recipient {
	if t.Command == nil {
		return r
	}
	if r.Params != "" {
		r.Params += " "
	}
	r.Params += params.Alias + "=" + t.Command.ID()
	return r
}
