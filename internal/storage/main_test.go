package storage

import (
	"os"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// TestMain shortens the waits between the client's attempts.
func TestMain(m *testing.M) {
	minio.DefaultRetryUnit, minio.DefaultRetryCap = time.Millisecond, time.Millisecond
	os.Exit(m.Run())
}
