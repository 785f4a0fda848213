package status

import "errors"

// logged is an error that the log has.
type logged struct{ error }

func (l logged) Unwrap() error { return l.error }

// Logged is err, of which the log has everything: no event is written for it again.
func Logged(err error) error { return logged{err} }

// IsLogged reports whether err comes from Logged.
func IsLogged(err error) bool { return errors.As(err, new(logged)) }
