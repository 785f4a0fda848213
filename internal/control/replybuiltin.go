package control

// builtInReplyRules are the rules behind those of control/reply-rules, in order. The
// first that matches decides. Each group names the page where the host's operator
// documents the codes, or the RFC that defines them. man/control.5 lists all of them.
func builtInReplyRules() []string {
	const (
		google    = "host=.google.com host=.googlemail.com host=.gmail.com "
		microsoft = "host=.outlook.com host=.mx.microsoft host=.office365.com "
		yahoo     = "host=.yahoodns.net "
		icloud    = "host=.icloud.com "
		gmx       = "host=.gmx.net host=.web.de host=.mail.com host=.kundenserver.de "
	)
	return []string{
		// https://support.google.com/a/answer/3726730: rates by address and domain; the
		// daily limits of an account that sends through Google say nothing of the message.
		google + "421 4.7.28: slow 10m",
		google + `4xx "unusual rate of unsolicited mail": slow 10m`,
		google + "5.4.5 5.7.28: slow 1h",

		// https://learn.microsoft.com/exchange/troubleshoot/email-delivery/ndr and
		// https://sendersupport.olc.protection.outlook.com/pm/troubleshooting: rates by
		// the reputation of an address; a tenant's limits; blocked addresses.
		microsoft + "4.7.500 4.7.650 4.7.651: slow 15m",
		microsoft + `421 /\bRP-00[1-3]\b/: slow 30m`,
		microsoft + "5.7.705: slow 1h",
		microsoft + "5.7.510 5.7.511 5.7.606 5.7.708: other-family",
		microsoft + `5xx /\b(SC|DY|OU)-00[1-4]\b/: other-family`,

		// https://senders.yahooinc.com/smtp-error-codes: volume and complaints; addresses
		// on block lists.
		yahoo + `421 /\[TSS?\d+\]/: slow 30m`,
		yahoo + `5xx /\[BL\d+\]/: other-family`,

		// https://support.apple.com/102322: too much for one mailbox; rejections by policy.
		icloud + `421 4.7.1 "excessive volume": retry 15m`,
		icloud + `5xx 5.7.1 /\[HM\d+\]/: other-family`,

		// https://postmaster.gmx.net/en/error-messages: no status codes, only text.
		gmx + "421 /rate limit|policy/: slow 30m",
		gmx + `554 550 /IP address is block listed|no SMTP service/: other-family`,

		// Greylisting (RFC 6647): another attempt soon is what it waits for.
		`4xx /\bgr[ae]y-?list|\[GL\d+\]/: retry 5m`,
		// Only 421, which ends a session, is about this host as a whole.
		`421 /too many (concurrent |simultaneous )?(connections|sessions)|rate.?limit|throttl/: slow 5m`,

		// RFC 5321 4.5.3.1.10: some hosts say 552 where 452 is right.
		`552 "too many recipients": retry`,

		// RFC 7372 3: what the check of an address found. The address of the other family
		// may have the PTR or SPF record that this one lacks, and another reputation.
		"5.7.23 5.7.24 5.7.25 5.7.26: other-family",
		`5xx /\bptr\b|\brdns\b|reverse[- ](dns|host ?name|lookup|mapping)|\bipv6\b/: other-family`,
		`550 553 554 571 /\bspf\b|sender policy framework/: other-family`,
		`550 553 554 571 /\b(black|block|deny|bad)[- ]?list(ed|s)?\b|\b(dns|r|dr)bl\b/: other-family`,
		`550 553 554 571 /\breputation\b|spamhaus|spamcop|barracuda/: other-family`,
	}
}
