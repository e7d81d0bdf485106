package gguf

import "fmt"

// maxBlock is the largest number of elements in a block.
const maxBlock = 256

// readBytes bounds how much of a file is handled at once where it is read and not mapped.
const readBytes = 1 << 18

// Decode turns len(dst) elements of a type, which are whole blocks at the start of src, into float32.
func Decode(typ Type, dst []float32, src []byte) error {
	info := types[typ]
	switch {
	case info.decode == nil:
		return fmt.Errorf("tensors of type %v are not supported", typ)
	case len(dst)%info.block != 0 || len(src) < len(dst)/info.block*info.bytes:
		return fmt.Errorf("%d elements of type %v are not in %d bytes", len(dst), typ, len(src))
	}
	info.decode(dst, src)
	return nil
}

// Read fills dst with the elements of a tensor from element at on, row-major, as float32.
func (f *File) Read(name string, at int, dst []float32) error {
	t, ok := f.Find(name)
	if !ok {
		return fmt.Errorf("gguf: read %s: there is no tensor %q", f.Path(), name)
	}
	if at < 0 || at > t.Len()-len(dst) {
		return fmt.Errorf("gguf: read %s: %q has %d elements, asked were %d from %d", f.Path(), name, t.Len(), len(dst), at)
	}
	if !t.Type.Supported() {
		return fmt.Errorf("gguf: read %s: %q is of type %v, which is not supported", f.Path(), name, t.Type)
	}
	if err := f.read(&t, at, dst); err != nil {
		return fmt.Errorf("gguf: read %s: %q: %w", f.Path(), name, err)
	}
	return nil
}

func (f *File) read(t *TensorInfo, at int, dst []float32) error {
	info := types[t.Type]
	if part := at % info.block; part != 0 && len(dst) > 0 {
		n := min(info.block-part, len(dst))
		if err := f.readPart(t, at/info.block, part, dst[:n]); err != nil {
			return err
		}
		at, dst = at+n, dst[n:]
	}
	whole := len(dst) / info.block
	step := max(1, readBytes/info.bytes)
	for done := 0; done < whole; done += step {
		n := min(step, whole-done)
		err := f.m.Use(t.start+int64(at/info.block+done)*int64(info.bytes), n*info.bytes, func(b []byte) {
			info.decode(dst[done*info.block:(done+n)*info.block], b)
		})
		if err != nil {
			return err
		}
	}
	if rest := dst[whole*info.block:]; len(rest) > 0 {
		return f.readPart(t, at/info.block+whole, 0, rest)
	}
	return nil
}

// readPart fills dst with elements of one block, from element part of it on.
func (f *File) readPart(t *TensorInfo, block, part int, dst []float32) error {
	info := types[t.Type]
	return f.m.Use(t.start+int64(block)*int64(info.bytes), info.bytes, func(b []byte) {
		var all [maxBlock]float32
		info.decode(all[:info.block], b)
		copy(dst, all[part:])
	})
}
