// Package clients checks the project's own clients of OpenAI's and Anthropic's APIs against the vendors' official ones: both send the
// same requests to a server on this machine, which records and answers them, and bodies and answers must agree. It is a module of its
// own, so that the official clients are no dependency of the project:
//
//	cd tools/parity/clients && go test ./...
//	go test -run xxx -bench . -benchtime 3000x ./...   # CPU per request of both
package clients
