package home

import (
	"paperpath/internal/listen"
	"paperpath/internal/settle"
	"paperpath/internal/spool"
)

// Share returns the limits of hold/.
func (h *Home) Share() (s spool.Share, err error) {
	if s.Bytes, err = h.Control.Holdbytes(); err != nil {
		return s, err
	}
	s.Count, err = h.Control.Holdcount()
	s.Stranger = h.Settler().Stranger
	return s, err
}

// Ready tells the service manager, if there is one, that the program is ready.
func (h *Home) Ready() {
	if err := listen.NotifyReady(); err != nil {
		h.Log.Trouble("", "notify", err)
	}
}

// Settler returns the Settler that decides about failed recipients.
func (h *Home) Settler() *settle.Settler {
	return &settle.Settler{Control: h.Control, Log: h.Log, Now: h.Clock.Now, Home: h.Dir}
}
