// Package model holds what stands around models that answer one request at a time (because.Chat): their errors, retries, limits,
// response cache and budget. Each wrapper takes a Chat and gives a Chat. The packages below provide the models themselves.
package model
