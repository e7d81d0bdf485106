package storage

import (
	"context"
	"errors"
	"path"
	"strings"
	"testing"

	"github.com/because-lab/because"
)

func TestParseURI(t *testing.T) {
	for uri, want := range map[string]location{
		"file:///data/run":          {schemeFile, "", "/data/run"},
		"file:///data/run/":         {schemeFile, "", "/data/run"},
		"file://localhost/data":     {schemeFile, "", "/data"},
		"file:///":                  {schemeFile, "", "/"},
		"file:///a b%20c":           {schemeFile, "", "/a b%20c"},
		"s3://bucket":               {schemeS3, "bucket", ""},
		"s3://bucket/":              {schemeS3, "bucket", ""},
		"s3://my.bucket/a/b c/":     {schemeS3, "my.bucket", "a/b c"},
		"gs://my_bucket/runs/2026":  {schemeGS, "my_bucket", "runs/2026"},
		"s3://bucket/model@rev/ünï": {schemeS3, "bucket", "model@rev/ünï"},
	} {
		got, err := parseURI(uri)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", uri, got, err)
			continue
		}
		if again, err := parseURI(got.String()); err != nil || again != got {
			t.Errorf("%s: written as %s it is %+v, %v", uri, got, again, err)
		}
	}
}

// Wrong URIs are the user's mistakes, and what may be a password in them is not repeated.
func TestBadURIs(t *testing.T) {
	for _, uri := range []string{
		"", "data", "/data/run", "http://host/x", "S3://bucket/x", "s3:/bucket", "s3://", "s3:///key", "s3://Bucket/x", "s3://b/x", "s3://a..b/x", "gs://",
		"s3://bucket/../other", "s3://bucket/a/../b", "s3://bucket/a//b", "s3://bucket/./a", "s3://bucket/..", "file://data/run", "file:///data/../etc", "file:///a/./b",
		"s3://bucket/a?X-Amz-Signature=hunter2", "s3://key:hunter2@bucket/a", "s3://bucket/a#b", "s3://bucket/a\\b", "s3://bucket/a\x00", "s3://bucket/\xff",
		"s3://bucket/" + strings.Repeat("x", 2000), "file:///a?hunter2", "http://user:hunter2@host/",
	} {
		_, err := Open(context.Background(), uri)
		if !errors.Is(err, ErrURI) || because.Hint(err) == "" {
			t.Errorf("%q: %v", uri, err)
		}
		if err != nil && strings.Contains(err.Error()+because.Hint(err), "hunter2") {
			t.Errorf("the error repeats a secret: %v", err)
		}
	}
}

func TestBadKeys(t *testing.T) {
	places(t, func(t *testing.T, s *Store) {
		for _, key := range []string{"", ".", "..", "/a", "a/", "a//b", "../a", "a/../../b", "a\\b", "a:b", "a\nb", strings.Repeat("x", 2000)} {
			if _, err := s.Stat(context.Background(), key); !errors.Is(err, ErrURI) {
				t.Errorf("Stat(%q): %v", key, err)
			}
			if err := s.Put(context.Background(), key, strings.NewReader(""), 0, sumOf(nil)); !errors.Is(err, ErrURI) {
				t.Errorf("Put(%q): %v", key, err)
			}
			if _, err := s.Join(key); !errors.Is(err, ErrURI) {
				t.Errorf("Join(%q): %v", key, err)
			}
		}
	})
}

func TestRootURI(t *testing.T) {
	s, err := Open(context.Background(), "file:///")
	if err != nil {
		t.Fatal(err)
	}
	below, err := s.Join("data")
	if err != nil || below.URI("") != "file:///data" || s.URI("data") != "file:///data" || s.URI("") != "file:///" || below.URI("x") != "file:///data/x" {
		t.Errorf("%s %s %s %s %v", below.URI(""), s.URI("data"), s.URI(""), below.URI("x"), err)
	}
}

func FuzzParseURI(f *testing.F) {
	for _, s := range []string{"s3://bucket/a/b", "gs://b_b/x", "file:///a/b", "s3://k:v@bucket", "file://h/x", "s3://bucket/..", "s3://bucket/a%2e%2e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		at, err := parseURI(uri)
		if err != nil {
			if !errors.Is(err, ErrURI) {
				t.Errorf("%q: %v is no ErrURI", uri, err)
			}
			return
		}
		if clean := path.Clean("/" + at.path); at.path != "" && strings.TrimPrefix(clean, "/") != strings.TrimPrefix(at.path, "/") {
			t.Errorf("%q has the path %q", uri, at.path)
		}
		if again, err := parseURI(at.String()); err != nil || again != at {
			t.Errorf("%q is written as %q, which is %+v, %v", uri, at.String(), again, err)
		}
	})
}
