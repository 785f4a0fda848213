package check

import (
	"context"
	"fmt"
	"strings"

	"paperpath/internal/addr"
	"paperpath/internal/dns"
	"paperpath/internal/status"
	"paperpath/internal/visible"
)

// heloCheck asks whether the name in HELO or EHLO can be the client's (RFC 5321 4.1.1.1,
// 4.1.3). Many honest hosts have a wrong one, so it is recorded, and no more, by default.
type heloCheck struct{}

// Name implements Check.
func (heloCheck) Name() string { return "helo" }

// Ask implements Check.
func (heloCheck) Ask(ctx context.Context, m *Case, q Query) Finding {
	if m.Helo == "" { // below a pipe: a session always has one
		return Finding{Result: "none", Reason: "the name is not known"}
	}
	wrong, err := wrongHelo(ctx, m, q.DNS)
	switch {
	case err != nil:
		q.Trail.Add("HELO", m.Helo+": "+err.Error(), "")
		text := visible.ASCII("HELO " + m.Helo + " could not be looked up")
		return Finding{Err: status.Temp("4.7.1", text, err), Reason: status.Public(err)}
	case wrong != "":
		q.Trail.Add("HELO", m.Helo+": "+wrong, "")
		text := visible.ASCII("HELO " + m.Helo + ": " + wrong)
		return Finding{Fails: true, Reason: wrong, Err: refuseMail("5.7.1", text)}
	}
	q.Trail.Add("HELO", m.Helo, "")
	return Finding{}
}

// wrongHelo returns what is wrong with the name, "" if nothing is.
func wrongHelo(ctx context.Context, m *Case, r Resolver) (string, error) {
	if ip, is := addr.Literal(m.Helo); is {
		if ip.Unmap() != m.Client.Unmap().WithZone("") {
			return "the address is not the client's, " + m.Client.String(), nil
		}
		return "", nil
	}
	if _, is := addr.IP(m.Helo); is {
		return "an address without brackets (RFC 5321 4.1.3)", nil
	}
	name, err := dns.ASCII(m.Helo)
	if err != nil {
		return "not the name of a host", nil
	}
	switch {
	case isOurs(m, name):
		return "that is this host, and the client is not", nil
	case !strings.Contains(name, "."):
		return "a name of one label, which leads nowhere", nil
	}
	return unresolved(ctx, r, name)
}

// isOurs reports whether a name is ours, or one that every host gives itself.
func isOurs(m *Case, name string) bool {
	return name == addr.FoldDomain(m.Host) || name == "localhost" || strings.HasPrefix(name, "localhost.") ||
		strings.HasSuffix(name, ".localhost")
}

// unresolved says that a name has neither an address nor a mail exchanger, "" if it has.
func unresolved(ctx context.Context, r Resolver, name string) (string, error) {
	_, err := r.Addrs(ctx, name)
	if isNone(err) {
		_, err = r.MX(ctx, name)
	}
	switch {
	case isNone(err):
		return "there is no host of that name", nil
	case err != nil:
		return "", fmt.Errorf("look HELO up: %w", err)
	}
	return "", nil
}
