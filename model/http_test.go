package model_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/because-lab/because/model"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		header, value string
		want          time.Duration
	}{
		{"Retry-After", "7", 7 * time.Second}, {"Retry-After", " 1.5 ", 1500 * time.Millisecond}, {"Retry-After", "0", 0}, {"Retry-After", "-3", 0},
		{"Retry-After", "soon", 0}, {"Retry-After", "", 0}, {"Retry-After", "NaN", 0}, {"Retry-After", "1e30", 24 * time.Hour}, {"Retry-After", "Inf", 24 * time.Hour},
		{"Retry-After", "Sun, 01 Jun 2025 12:01:30 GMT", 90 * time.Second}, {"Retry-After", "Sun, 01 Jun 2025 11:00:00 GMT", 0},
		{"Retry-After", "Sun, 01 Jun 2098 11:00:00 GMT", 24 * time.Hour}, {"Retry-After-Ms", "250", 250 * time.Millisecond}, {"Retry-After-Ms", "NaN", 0},
		{"X-Other", "7", 0},
	} {
		if got := model.RetryAfter(http.Header{tt.header: {tt.value}}, now); got != tt.want {
			t.Errorf("%s %q is %v, want %v", tt.header, tt.value, got, tt.want)
		}
	}
	if got := model.RetryAfter(http.Header{"Retry-After": {"9"}, "Retry-After-Ms": {"8500"}}, now); got != 8500*time.Millisecond {
		t.Errorf("of both: %v", got)
	}
}

func TestNetworkKind(t *testing.T) {
	wrap := func(err error) error { return &url.Error{Op: "Post", URL: "http://h", Err: err} }
	for _, tt := range []struct {
		err  error
		want model.Kind
	}{
		{wrap(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}), model.Unreachable},
		{wrap(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "h"}}), model.Unreachable},
		{wrap(&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}), model.TimedOut},
		{wrap(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}), model.Unreachable},
		{wrap(&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}), model.Cut},
		{wrap(io.ErrUnexpectedEOF), model.Cut}, {wrap(io.EOF), model.Cut}, {errors.New("something else"), model.Cut},
		{wrap(context.DeadlineExceeded), model.TimedOut},
		{wrap(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), model.BadTLS},
		{wrap(tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}), model.BadTLS},
		{wrap(errors.New("http: server gave HTTP response to HTTPS client")), model.BadTLS},
		{fmt.Errorf("remote error: %w", errors.New("tls: handshake failure")), model.BadTLS},
	} {
		if got := model.NetworkKind(tt.err); got != tt.want {
			t.Errorf("%v is %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestStatusKind(t *testing.T) {
	for status, want := range map[int]model.Kind{400: model.Rejected, 401: model.Denied, 402: model.Denied, 403: model.Denied, 404: model.NotFound, 405: model.Rejected, 407: model.Denied,
		408: model.TimedOut, 413: model.TooLong, 422: model.Rejected, 429: model.RateLimited, 500: model.Overloaded, 503: model.Overloaded, 529: model.Overloaded, 302: model.Rejected} {
		if got := model.StatusKind(status); got != want {
			t.Errorf("%d is %q, want %q", status, got, want)
		}
	}
}
