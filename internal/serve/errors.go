package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Types of errors in the API's error objects.
const (
	typeInvalid = "invalid_request_error"
	typeServer  = "server_error"
	typeBusy    = "rate_limit_error"
)

// statusGone is what metrics and log show for a client that left before its answer. It is never sent.
const statusGone = 499

// errShutdown is the cause of contexts that end because the server does.
var errShutdown = errors.New("the server is shutting down")

// apiError is an error as the API reports it.
type apiError struct {
	Status  int    `json:"-"`
	Message string `json:"message"`
	Type    string `json:"type"`
	Param   string `json:"-"`
	Code    string `json:"-"`
}

func (e *apiError) Error() string { return e.Message }

// MarshalJSON writes absent fields as null, as clients expect them.
func (e *apiError) MarshalJSON() ([]byte, error) {
	type fields apiError
	return json.Marshal(struct {
		fields
		Param *string `json:"param"`
		Code  *string `json:"code"`
	}{fields(*e), orNull(e.Param), orNull(e.Code)})
}

// errorBody is the object around an error.
type errorBody struct {
	Error *apiError `json:"error"`
}

// orNull gives nil for the empty string.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// invalid makes an error for a request that is wrong at param.
func invalid(param, code, format string, args ...any) *apiError {
	message := fmt.Sprintf(format, args...)
	if param != "" {
		message = param + ": " + message
	}
	return &apiError{Status: http.StatusBadRequest, Message: message, Type: typeInvalid, Param: param, Code: code}
}

// asAPI turns any error into one that may be shown to a client: causes inside the server stay in its log.
func asAPI(ctx context.Context, err error) *apiError {
	var api *apiError
	if errors.As(err, &api) {
		return api
	}
	var bad *BadRequest
	if errors.As(err, &bad) {
		return &apiError{Status: http.StatusBadRequest, Message: bad.Error(), Type: typeInvalid, Param: bad.Param, Code: bad.Code}
	}
	switch {
	case errors.Is(context.Cause(ctx), errShutdown):
		return &apiError{Status: http.StatusServiceUnavailable, Message: errShutdown.Error(), Type: typeServer, Code: "shutting_down"}
	case ctx.Err() != nil:
		return &apiError{Status: statusGone, Message: "the client went away", Type: typeServer}
	}
	return &apiError{
		Status: http.StatusInternalServerError, Message: "the model failed to answer; the server's log says why", Type: typeServer, Code: "internal_error",
	}
}

// fail answers a request with an error, and logs what its client is not told.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	api := s.logged(r.Context(), err)
	if api.Status == statusGone {
		noteStatus(w, statusGone)
		return
	}
	if api.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", fmt.Sprint(s.retryAfter()))
	}
	s.writeJSON(w, api.Status, errorBody{api})
}

// logged gives an error as clients may see it, after the log has its cause.
func (s *Server) logged(ctx context.Context, err error) *apiError {
	api := asAPI(ctx, err)
	if api.Status == http.StatusInternalServerError {
		s.log.Error("request failed", "request", requestID(ctx), "error", err)
	}
	return api
}
