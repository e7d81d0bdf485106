package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
)

// sorted puts an error of the client under one of ours. Only its text is kept, and nothing secret in it.
func (b *bucket) sorted(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrDamaged), errors.Is(err, ErrNoSpace):
		return err
	}
	var answer minio.ErrorResponse
	if errors.As(err, &answer) && (answer.Code != "" || answer.StatusCode != 0) {
		return fmt.Errorf("%w: %s", class(answer), b.who.clean(describe(answer)))
	}
	text := err.Error()
	var request *url.Error
	if errors.As(err, &request) {
		text = request.Err.Error() // without the address, whose query a token may be in
	}
	var network net.Error
	if request != nil || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %s", ErrNetwork, b.who.clean(text))
	}
	return errors.New(b.who.clean(text))
}

// errAnswer is an answer that is none of the errors in errors.go.
var errAnswer = errors.New("the server refuses")

// class is the kind of an answer, by S3's codes (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
func class(a minio.ErrorResponse) error {
	switch a.Code {
	case "NoSuchBucket":
		return ErrNoBucket
	case "NoSuchKey":
		return ErrNotFound
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AllAccessDisabled", "RequestTimeTooSkewed":
		return ErrForbidden
	case "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded":
		return ErrNoSpace
	}
	switch {
	case a.StatusCode == 401 || a.StatusCode == 403:
		return ErrForbidden
	case a.StatusCode == 404:
		return ErrNotFound
	case a.StatusCode == 408 || a.StatusCode == 429 || a.StatusCode >= 500:
		return ErrNetwork
	}
	return errAnswer
}

// describe is code and message.
func describe(a minio.ErrorResponse) string {
	text := a.Code
	if message := strings.TrimSpace(a.Error()); message != "" && message != a.Code {
		text += ": " + message
	}
	if a.StatusCode != 0 {
		text += fmt.Sprintf(" (status %d)", a.StatusCode)
	}
	switch a.Code {
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		text += "; the bucket is in another region: set AWS_REGION to it"
	case "PreconditionFailed":
		text += "; the file changed while it was fetched"
	}
	if len(text) > 500 {
		text = text[:500]
	}
	return text
}
