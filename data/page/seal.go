package page

import "encoding/base64"

// seal hides a text from whoever looks at a page or its source: the bytes are mixed with a stream from a key (xorshift, G. Marsaglia,
// "Xorshift RNGs", J. Statistical Software 8(14), 2003) that stands on the page too. Readers are to be kept from seeing by
// accident which record is whose, not from finding out if they set their mind to it, so this is no cipher. unseal in blind.js is its like.
func seal(text []byte, key uint32) string {
	out := make([]byte, len(text))
	for i, c := range text {
		key = next(key)
		out[i] = c ^ byte(key>>11)
	}
	return base64.StdEncoding.EncodeToString(out)
}

// next gives the stream's next state; none but 0 leads to 0.
func next(x uint32) uint32 {
	x ^= x << 13
	x ^= x >> 17
	x ^= x << 5
	return x
}
