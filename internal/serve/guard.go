package serve

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// crossOrigin refuses what a web page of another origin makes a browser send.
var crossOrigin = http.NewCrossOriginProtection()

// guard checks who asks. With a token every request must carry it, except to open routes. Without one the request must be
// addressed to the loopback by name, so that a web page whose own name resolves to it (DNS rebinding) gets nothing.
func (s *Server) guard(r *http.Request, open bool) error {
	if err := crossOrigin.Check(r); err != nil {
		return &apiError{Status: http.StatusForbidden, Message: "requests from web pages of another origin are refused", Type: typeInvalid, Code: "cross_origin"}
	}
	if s.options.Token == "" {
		if !localName(r.Host) {
			return &apiError{
				Status: http.StatusForbidden, Type: typeInvalid, Code: "unknown_host",
				Message: "the Host header names neither localhost nor a loopback address; a server with a token answers to any name",
			}
		}
		return nil
	}
	if open {
		return nil
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	// Hashes have one length, so that the comparison tells nothing about the token's.
	want, got := sha256.Sum256([]byte(s.options.Token)), sha256.Sum256([]byte(strings.TrimSpace(given)))
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return &apiError{
			Status: http.StatusUnauthorized, Type: typeInvalid, Code: "invalid_api_key",
			Message: "missing or wrong token; send it as \"Authorization: Bearer TOKEN\", which API clients call the API key",
		}
	}
	return nil
}

// localName reports whether a host, with or without a port, is this machine's loopback by name or number.
func localName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(host, "]"), "["), ".")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
