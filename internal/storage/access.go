package storage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/because-lab/because"
)

// who is as whom a bucket is used.
type who struct {
	scheme    string
	bucket    string
	anonymous bool
	secrets   []string
}

// clean takes what is secret out of a text, should a server have repeated it.
func (w who) clean(text string) string {
	for _, s := range w.secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[removed]")
		}
	}
	return text
}

// access says what to do where access is forbidden.
func (b *bucket) access() string {
	switch {
	case b.who.scheme == schemeGS:
		return "check that the HMAC key in GS_ACCESS_KEY_ID and GS_SECRET_ACCESS_KEY is active and its account may use gs://" + b.name
	case b.who.anonymous:
		return "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
	}
	return "check the credentials (AWS_ACCESS_KEY_ID or AWS_PROFILE) and that they allow s3:GetObject, PutObject, DeleteObject and ListBucket on " + b.name
}

// target is where and how to reach a bucket.
type target struct {
	endpoint string // host and port
	secure   bool
	lookup   minio.BucketLookupType
	region   string
	own      bool // not the provider's own server
}

// openBucket reads the environment and finds credentials.
func openBucket(ctx context.Context, at location) (*bucket, error) {
	t, err := targetOf(at.scheme)
	if err != nil {
		return nil, err
	}
	creds, value, err := credentialsOf(ctx, at.scheme, t)
	if err != nil {
		return nil, err
	}
	transport, err := minio.DefaultTransport(t.secure)
	if err != nil {
		return nil, err
	}
	core, err := minio.NewCore(t.endpoint, &minio.Options{
		Creds: creds, Secure: t.secure, Region: t.region, BucketLookup: t.lookup, MaxRetries: 6, Transport: oneReader{transport}})
	if err != nil {
		return nil, fmt.Errorf("the endpoint: %w", err)
	}
	return &bucket{
		core: *core, name: at.bucket, single: singlePut, part: partSize,
		who: who{at.scheme, at.bucket, value.AccessKeyID == "", []string{value.SecretAccessKey, value.SessionToken, value.AccessKeyID}},
	}, nil
}

func targetOf(scheme string) (target, error) {
	if scheme == schemeGS {
		return target{endpoint: "storage.googleapis.com", secure: true, lookup: minio.BucketLookupPath, region: "auto"}, nil
	}
	region := firstOf(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
	for _, name := range []string{"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"} {
		v := os.Getenv(name)
		if v == "" {
			continue
		}
		u, err := url.Parse(v)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return target{}, because.E("", name, fmt.Errorf("%w: its value is not the address of a server", ErrURI), "such as http://127.0.0.1:9000, without user, path or query")
		}
		return target{u.Host, u.Scheme == "https", minio.BucketLookupPath, firstOf(region, "us-east-1"), true}, nil
	}
	return target{endpoint: "s3.amazonaws.com", secure: true, lookup: minio.BucketLookupAuto, region: region}, nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// credentialsOf finds credentials and looks at them once. Without any, requests are not signed, which public buckets accept.
func credentialsOf(ctx context.Context, scheme string, t target) (*credentials.Credentials, credentials.Value, error) {
	if scheme == schemeGS {
		id, secret := os.Getenv("GS_ACCESS_KEY_ID"), os.Getenv("GS_SECRET_ACCESS_KEY")
		if id == "" || secret == "" {
			return nil, credentials.Value{}, because.E("", "", fmt.Errorf("%w: there is no HMAC key", ErrForbidden),
				"make one for a service account (gcloud storage hmac create ACCOUNT) and set GS_ACCESS_KEY_ID and GS_SECRET_ACCESS_KEY")
		}
		c := credentials.NewStaticV4(id, secret, "")
		v, err := c.GetWithContext(nil)
		return c, v, err
	}
	if (os.Getenv("AWS_ACCESS_KEY_ID") == "") != (os.Getenv("AWS_SECRET_ACCESS_KEY") == "") {
		return nil, credentials.Value{}, because.E("", "", errors.New("only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set"), "set both or neither")
	}
	chain := []credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}}
	if hasRole(t) {
		chain = append(chain, &credentials.IAM{Client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext, DisableKeepAlives: true}}})
	}
	c := credentials.NewChainCredentials(chain)
	v, err := c.GetWithContext(nil)
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil && v.AccessKeyID == "" {
		c = credentials.New(&credentials.Static{Value: credentials.Value{SignerType: credentials.SignatureAnonymous}})
	}
	return c, v, err
}

// hasRole reports whether it makes sense to ask for the role of this machine, container or pod.
func hasRole(t target) bool {
	for _, name := range []string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		if os.Getenv(name) != "" {
			return true
		}
	}
	return !t.own && !strings.EqualFold(os.Getenv("AWS_EC2_METADATA_DISABLED"), "true")
}
