package model

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// StatusKind gives the kind of an HTTP status that is not a success. What a 400 is about, such as a context overflow, only the body
// can tell; without it, it is Rejected.
func StatusKind(status int) Kind {
	switch {
	case status == http.StatusTooManyRequests:
		return RateLimited
	case status == http.StatusRequestTimeout:
		return TimedOut
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusPaymentRequired, status == http.StatusProxyAuthRequired:
		return Denied
	case status == http.StatusNotFound:
		return NotFound
	case status == http.StatusRequestEntityTooLarge:
		return TooLong
	case status >= 500:
		return Overloaded
	}
	return Rejected
}

// NetworkKind gives the kind of an error of the network, as net/http's client reports it. A body that is not what it
// should be is the caller's to find.
func NetworkKind(err error) Kind {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var lookup *net.DNSError
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &alert), strings.Contains(err.Error(), "tls: "),
		strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return BadTLS
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return TimedOut
	case errors.As(err, &lookup), errors.Is(err, syscall.ECONNREFUSED), errors.As(err, &op) && op.Op == "dial":
		return Unreachable
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Cut
	case errors.As(err, &timeout) && timeout.Timeout():
		return TimedOut
	}
	return Cut
}

// RetryAfter reads how long a server asks to be left alone: Retry-After as seconds or as an HTTP date (RFC 9110, 10.2.3), and
// retry-after-ms before it. Nothing, nonsense and what is past give 0; more than a day counts as a day.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	const day = 24 * time.Hour
	wait := time.Duration(0)
	text := strings.TrimSpace(h.Get("Retry-After"))
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		wait = time.Duration(min(ms, float64(day/time.Millisecond)) * float64(time.Millisecond))
	} else if s, err := strconv.ParseFloat(text, 64); err == nil && s > 0 {
		wait = time.Duration(min(s, day.Seconds()) * float64(time.Second))
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(0, wait), day)
}
