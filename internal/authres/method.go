// Package authres writes and reads Authentication-Results fields (RFC 8601): what the
// checks of a message found, one method after another. Everything in them that came from
// outside is bounded, and in a form that simple parsers cannot misread.
package authres

import (
	"strings"

	"paperpath/internal/addr"
)

// Name is the name of the field.
const Name = "Authentication-Results"

// Methods of ours that are not registered (RFC 8601 2.7.6).
const (
	Paperpath = "x-paperpath" // the verdict by which the message is filed
	Junk      = "junk"        // its value for Paperpath
)

// Method is what one method found (RFC 8601 2.2, resinfo).
type Method struct {
	Name       string // of the method: spf, dkim, dmarc, iprev, auth, dnswl
	Result     string // pass, fail, none, temperror, ...
	Reason     string // why, for programs (reason=); mostly ""
	Comment    string // why, for people; may hold text from outside
	Properties []Property
}

// Property is one of the facts that a method judged.
type Property struct {
	Name  string // type and name: smtp.mailfrom, header.d, policy.iprev
	Value string // as it is; "" leaves the property out
}

// Get returns the value of a property, or "".
func (m Method) Get(name string) string {
	for _, p := range m.Properties {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// Mailbox is a property whose value is an address, or "@" and a domain. Where others may
// take the local part apart in another way, as a quoted string, only the domain is written,
// as RFC 8601 2.2 allows (pvalue).
func Mailbox(name, address string) Property {
	local, domain := addr.Split(address)
	if domain == "" {
		return Domain(name, address)
	}
	p := Domain(name, domain)
	if p.Value != "" && strings.Trim(local, localPart) == "" {
		p.Value = local + "@" + p.Value
	}
	return p
}

// Domain is a property whose value is a domain or the name of a host. U-labels become
// A-labels (RFC 8616 4); what is no name is left out.
func Domain(name, domain string) Property {
	folded := addr.FoldDomain(strings.TrimSuffix(domain, "."))
	if len(folded) > maxDomain || strings.Trim(folded, hostName) != "" {
		return Property{Name: name}
	}
	return Property{Name: name, Value: folded}
}

const (
	letters   = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	hostName  = letters + "-._"
	localPart = letters + "!#$%&'*+-/=?^_`{|}~." // RFC 5322 3.2.3, dot-atom
	maxDomain = 255
)
