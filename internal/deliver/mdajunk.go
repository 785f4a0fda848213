package deliver

import (
	"bytes"
	"io"

	"paperpath/internal/addr"
	"paperpath/internal/authres"
	"paperpath/internal/control"
	"paperpath/internal/message"
	"paperpath/internal/route"
)

// place returns where in the mailbox root of u the message goes: the folder for junk, as
// maildeliver's stage does, or where m.folder says. address is the one that the calling mail system named.
func (m *MDA) place(root, address string, to addr.Address, u *control.User, msg *incoming) (string, error) {
	var read bytes.Buffer
	h, err := readHeader(io.TeeReader(msg.body, &read))
	if err != nil {
		return "", readError(err)
	}
	msg.body = io.MultiReader(&read, msg.body)
	wish, err := route.Accepts(m.Control, address, u, route.Asked{Submitted: true, // its size shows while it is stored
		Senders: func() ([]string, error) { return route.Senders(msg.from.String(), h), nil }})
	if err != nil {
		return "", err
	}
	junk, err := m.isJunk(h)
	if err != nil {
		return "", err
	}
	folder, err := junkOr(m.Home, u, func() (string, error) { return folderForJunk(m.Control) }, wish, junk)
	if folder == "" && err == nil { // only now, for junk makes no folder but its own
		return m.folder(root, u, to)
	}
	return folder, err
}

// isJunk reports whether a result field of our host in a header says so.
func (m *MDA) isJunk(h *message.Header) (junk bool, err error) {
	host, err := m.Control.Hostname()
	if err != nil {
		return false, err
	}
	// mailcheck has removed what others wrote in our name. Where it was not asked, a stranger
	// can make no more than junk of their own mail.
	for _, f := range h.All(authres.Name) {
		if found, err := authres.Parse(f.Value); err == nil && authres.ClaimedBy(f.Value, host) {
			_, is := found.Junk()
			junk = junk || is
		}
	}
	return junk, nil
}
