package model

import "github.com/because-lab/because"

// WrapOptions say what stands around a served model.
type WrapOptions struct {
	Retry RetryOptions
	Limit LimitOptions
	Cache CacheOptions // Mode CacheOff: none
	Meter *Meter       // may be nil
	MeterOptions
}

// Wrapped is a served model with all that stands around it.
type Wrapped struct {
	because.Chat
	Cache *Cached
	Limit *Limited
}

// Wrap puts the wrappers around a model in the order in which they work together: the cache outside, so that what it holds costs
// nothing; then the meter, once for all attempts; then retries, each of which takes its turn at the limit, so that a request that waits
// for its next attempt holds up no other.
func Wrap(m because.Chat, o WrapOptions) (*Wrapped, error) {
	limited := Limit(m, o.Limit)
	chat := Retry(limited, o.Retry)
	if o.Meter != nil {
		var err error
		if chat, err = Metered(chat, o.Meter, o.MeterOptions); err != nil {
			return nil, err
		}
	}
	cached, err := Cache(chat, o.Cache)
	if err != nil {
		return nil, err
	}
	return &Wrapped{Chat: cached, Cache: cached, Limit: limited}, nil
}
