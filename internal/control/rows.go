package control

// pathSettings say where mail goes, and what runs.
func pathSettings() []Setting {
	return []Setting{
		scalarOf(Setting{Name: "hostname", Without: "none", Example: "mx.example.org",
			Readers: "all programs",
			Counts:  AtHangup, Required: true, Doc: "the name of this host"}, parseHostname),
		{Name: "domains", Form: List, Without: "none", Example: "example.org",
			Readers:  "mailsubmit, pop3d, all stages",
			Required: true, Doc: "the domains whose mail is delivered here"},
		{Name: "users", Form: Table, Without: "none", Example: "alice@example.org:*",
			Readers:  "mailsubmit, mailroute, maildeliver, pop3d",
			Required: true, Secret: true, Counted: true, Doc: "who has a mailbox and a password"},
		{Name: "aliases", Form: Table, Without: "no alias", Example: "postmaster: alice",
			Readers: "mailsubmit, mailroute, maildeliver", Counted: true,
			Doc: "addresses that stand for others"},
		{Name: "routes", Form: Table, Without: "MX lookup", Example: "elsewhere.example: 127.0.0.1:2525",
			Readers: "mailsubmit, mailroute, mailrelay", Doc: "where mail for other domains goes"},
		{Name: "sender-routes", Form: Table, Without: "as for any sender",
			Example: "alice@example.net: tls:smtp.example.com",
			Readers: "mailsubmit, mailroute, mailrelay", Doc: "where mail of a sender goes"},
		{Name: relayLoginsDir, Form: Directory, Without: "no login", Readers: "mailrelay",
			Doc: "how mailrelay logs in at the hosts of routes", read: func(*Control) error { return nil }},
		{Name: "destinations", Form: Table, Without: "as limits say", Example: "example.org: sessions=5 rate=100/1h",
			Readers: "mailrelay", Doc: "how much mail a domain gets at a time"},
		{Name: "source", Form: Table, Without: "the system's choice",
			Example: "@example.net: ip=192.0.2.1 helo=mail.example.net",
			Readers: "mailrelay", Doc: "the address and the name that mail is sent from"},
		{Name: "tls-policy", Form: Table, Without: "may", Example: "example.org: encrypt",
			Readers: "mailrelay", Doc: "the TLS that hosts of a domain must have"},
		checkedBy(scalarOf(Setting{Name: "tls-roots", Default: "system", Readers: "mailrelay",
			Doc: "the authorities that other hosts' certificates are verified by"}, parseRoots),
			(*Control).checkRoots),
		scalarOf(Setting{Name: "tls-ratchet", Default: "30d", Readers: "mailrelay",
			Doc: "how long a host that had TLS is held to it"}, parseRatchet),
		scalarOf(Setting{Name: "masquerade", Without: "no address is replaced", Example: "alice@example.org",
			Readers: "mailsubmit, mailroute, mailrelay",
			Doc:     "what stands for the addresses of this machine elsewhere"}, parseMask),
		{Name: "services", Form: List, Without: "none", Example: "mailroute watch", Readers: "mailctl start",
			Counts: AtHangup, Doc: "the commands that mailctl start runs"},
		with(Setting{Name: "root", Form: List, Without: "nobody", Example: "*",
			Readers: "mailsubmit, all stages, pop3d",
			Counts:  AtStart, Doc: "the programs that work as root"}, maxScalar, parseRoot),
		scalarOf(Setting{Name: "resolver", Without: "the system's", Example: "127.0.0.1:5353",
			Readers: "all that use DNS", Doc: "the DNS server to ask"}, parseResolver),
	}
}

// submitSettings say what is accepted, and from whom.
func submitSettings() []Setting {
	return []Setting{
		scalarOf(Setting{Name: "databytes", Default: "26214400",
			Readers: "mailsubmit, mailcheck, maildeliver",
			Doc:     "the largest message that is accepted, in bytes"}, atLeast(1)),
		{Name: "sizes", Form: Table, Without: "databytes", Example: "@example.org: 10485760",
			Readers: "mailsubmit, mailcheck",
			Doc:     "the largest message of a user or a domain, in bytes"},
		scalarOf(Setting{Name: "reserve", Default: "16777216 100",
			Readers: "all that write the spool, maildeliver -d",
			Counts:  AtHangup, Doc: "the bytes and inodes that accepting leaves free"}, parseReserve),
		with(Setting{Name: "retry", Form: Table, Keys: retryKeys(), Without: "see below",
			Example: "lifetime: 5d",
			Readers: "all stages", Doc: "when what could not be done is tried again"}, maxScalar, parseRetry),
		{Name: "checks", Form: Table, Keys: checkKeys(), Without: "see below", Example: "from: tag",
			Readers: "mailsubmit, mailcheck", Doc: "what becomes of a message for which a check fails",
			def: checkDefaults()},
		{Name: "reply-rules", Form: Table, Without: "built-in rules",
			Example: "550 5.7.1 host=.example.org: retry", behind: builtInBehind,
			Readers: "mailrelay", Doc: "what replies of other hosts mean"},
		{Name: "senders", Form: Table, Without: "own address",
			Example: "alice@example.org: office@example.org",
			Readers: "mailsubmit, mailcheck", Doc: "which addresses a submitter may use beside their own"},
		{Name: "mime", Form: Table, Without: "nothing", Example: ".exe: refuse",
			Readers: "mailsubmit, mailcheck", Doc: "the kinds of files that mail may not have"},
		{Name: "filters", Form: Table, Without: "none", Example: "spam: milter:inet:127.0.0.1:11332",
			Readers: "mailsubmit, mailcheck", Doc: "the filters of other people that mail passes"},
		{Name: "trusted-forwarders", Form: List, Without: "nobody", Example: "192.0.2.0/24",
			Readers: "mailsubmit, mailcheck",
			Doc:     "who may bring other people's mail that SPF or DMARC forbids"},
		{Name: "dnsbl", Form: Table, Without: "none", Example: "bl.example.org: 2",
			Readers: "mailsubmit, mailcheck", Doc: "the lists of bad and good addresses in the DNS"},
		{Name: "relayfrom", Form: List, Without: "nobody", Example: "192.0.2.0/24",
			Readers: "mailsubmit, pop3d, all stages",
			Doc:     "the hosts that may send anywhere without a login"},
		{Name: "relayto", Form: List, Without: "nobody", Example: "example.org",
			Readers: "mailsubmit, mailroute, mailrelay",
			Doc:     "the domains and addresses elsewhere that anybody may send to"},
		{Name: "proxyfrom", Form: List, Without: "nobody", Example: "192.0.2.10",
			Readers: "mailsubmit, pop3d", Doc: "the hosts that begin a connection with a PROXY header"},
		{Name: "xclientfrom", Form: List, Without: "nobody", Example: "192.0.2.10",
			Readers: "mailsubmit", Doc: "the hosts that may use XCLIENT"},
		scalarOf(Setting{Name: "greetpause", Default: "100ms", Readers: "mailsubmit",
			Doc: "how long a client waits for the greeting of the role mx"}, parseGreetPause),
		scalarOf(Setting{Name: "hideclient", Default: "no", Readers: "mailsubmit",
			Doc: "whether Received leaves out the client of a user who logged in"}, oneOf("yes", "no")),
		scalarOf(Setting{Name: "barelines", Default: "refuse", Readers: "mailsubmit",
			Doc: "what becomes of a bare CR or LF that a user submits"}, parseBareLines),
		scalarOf(Setting{Name: "postmaster", Without: "the first user", Example: "alice@example.org",
			Readers: "mailsubmit, mailroute, maildeliver",
			Doc:     "where mail for a postmaster without an alias goes"},
			parsePostmaster),
	}
}

// boxSettings say what is kept, and for how long.
func boxSettings() []Setting {
	return []Setting{
		scalarOf(Setting{Name: "expire", Default: "never", Readers: "pop3d",
			Doc: "for how many days messages are kept, as POP3 clients hear it"}, parseExpire),
		scalarOf(Setting{Name: "logindelay", Default: "0", Readers: "pop3d",
			Doc: "the least time between two POP3 logins of one user"}, duration),
		scalarOf(Setting{Name: "undelete", Default: "0", Readers: "pop3d",
			Doc: "how long what POP3 deletes stays in the folder Trash"}, duration),
		scalarOf(Setting{Name: "junk", Default: "folder", Readers: "mailsubmit, mailcheck, maildeliver",
			Doc: "where messages go that are junk"}, parseJunk),
	}
}

// limitSettings say how long runs may take, and how long held entries are kept.
func limitSettings() []Setting {
	return []Setting{
		scalarOf(Setting{Name: "runtime", Default: "50m", Readers: "all stages", Counts: AtStart,
			Doc: "the time after which run takes up nothing new"}, duration),
		scalarOf(Setting{Name: "holdtime", Default: "30d", Readers: "all stages",
			Doc: "the time after which an entry in hold/ is removed"}, duration),
		scalarOf(Setting{Name: "holdbytes", Default: "1073741824", Readers: "all stages",
			Doc: "how many bytes hold/ may have"}, atLeast(0)),
		scalarOf(Setting{Name: "holdcount", Default: "10000", Readers: "all stages",
			Doc: "how many entries hold/ may have"}, atLeast(0)),
	}
}

// sharedSettings are those of all programs that serve clients.
func sharedSettings() []Setting {
	return []Setting{
		scalarOf(Setting{Name: "log", Default: "file", Readers: "all programs", Doc: "where events go"},
			oneOf("file", "stderr", "syslog")),
		with(Setting{Name: "concurrency", Form: Table, Keys: concurrencyKeys(), Without: "see below",
			Example: "mailsubmit: 200", Readers: "mailsubmit, pop3d, all stages",
			Doc: "how many there may be at a time"},
			maxScalar, numbersOf(concurrencyKeys())),
		with(Setting{Name: "limits", Form: Table, Keys: limitKeys(), Without: "see below",
			Example: "recipients: 1000",
			Readers: "mailsubmit, mailcheck, all stages", Doc: "what is too much"}, maxScalar,
			numbersOf(limitKeys())),
		with(Setting{Name: "rates", Form: Table, Keys: rateKeys(), Without: "see below",
			Example: "user-messages: 500/1h",
			Readers: "mailsubmit, pop3d", Doc: "how often is too often"}, maxScalar, parseRates),
		with(Setting{Name: "mechanisms", Form: List, Without: "all that suit", Example: "PLAIN",
			Readers: "mailsubmit, pop3d", Doc: "the SASL mechanisms that clients may use"}, maxScalar,
			parseMechanisms),
		{Name: "dkim", Form: Directory, Without: "no signatures", Readers: "mailrelay",
			Doc: "the keys that sign mail", read: (*Control).readDKIM},
		{Name: "tls", Form: Directory, Without: "no TLS", Readers: "mailsubmit, pop3d", Counts: AtHangup,
			Doc: "certificates and their keys", read: (*Control).readTLS},
	}
}
