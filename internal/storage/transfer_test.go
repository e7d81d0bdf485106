package storage

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// The same file is fetched once at a time.
func TestGetFileLocked(t *testing.T) {
	s := openFake(t, fileURI(t.TempDir()))
	text := random(1, 1000)
	put(t, s, "k", text)
	to := filepath.Join(t.TempDir(), "k")
	other, err := openPart(to, sumOf(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetFile(context.Background(), "k", to, sumOf(text), nil); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("%v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetFile(context.Background(), "k", to, sumOf(text), nil); err != nil {
		t.Error(err)
	}
}

// lingering answers before it has read the body, as a transport does where a server refuses early.
type lingering struct{ body io.ReadCloser }

func (l *lingering) RoundTrip(r *http.Request) (*http.Response, error) {
	l.body = r.Body
	_, err := io.ReadFull(r.Body, make([]byte, 2))
	return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody, Request: r}, err
}

// After the answer nobody reads the body, which is read again from its start to repeat the request.
func TestOneReader(t *testing.T) {
	text := strings.NewReader("text")
	l := &lingering{}
	req, err := http.NewRequest(http.MethodPut, "http://host/", io.NopCloser(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (oneReader{l}).RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	if n, err := l.body.Read(make([]byte, 10)); n != 0 || !errors.Is(err, errAnswered) {
		t.Errorf("%d bytes are read after the answer, %v", n, err)
	}
	if text.Len() != 2 {
		t.Errorf("%d bytes are left", text.Len())
	}
	if err := l.body.Close(); err != nil {
		t.Error(err)
	}
}
