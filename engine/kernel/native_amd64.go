//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

//go:generate go run -C _asm . -isa avx2 -out ../avx2_amd64.s -stubs ../avx2_amd64.go -pkg kernel
//go:generate go run -C _asm . -isa avx512 -out ../avx512_amd64.s -stubs ../avx512_amd64.go -pkg kernel

// native returns the assembly implementations that this machine can run,
// slowest first. x/sys/cpu reports a vector extension only if the operating
// system saves its registers.
func native() []*implementation {
	x := &cpu.X86
	var list []*implementation
	if x.HasAVX2 && x.HasFMA && x.HasBMI2 {
		list = append(list, &avx2)
		if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL {
			list = append(list, &avx512)
		}
	}
	return list
}

// avx2 handles vectors of eight; tiles of C are at most 6 x 16.
var avx2 = implementation{
	name: "avx2",
	gemm: gemmKernels{nr: 16, tile: tileAVX2, packT: packPanelAVX2, copyRows: copyRowsAVX2, tileBF16: tileBF16AVX2},
	vec: vectorKernels{
		add: addAVX2, axpy: axpyAVX2, scale: scaleAVX2, dot: dotAVX2,
		sumSquares: sumSquaresAVX2, max: maxAVX2, sum: sumAVX2, adamw: adamwAVX2,
	},
	row: rowKernels{
		rmsNorm: rmsNormAVX2, rmsNormBackward: rmsNormBackwardAVX2,
		swiGLU: swiGLUAVX2, swiGLUBackward: swiGLUBackwardAVX2, rope: ropeAVX2,
		softmax: softmaxAVX2, softmaxBackward: softmaxBackwardAVX2,
		crossEntropy: crossEntropyAVX2, logSumExp: logSumExpAVX2, attend: attendAVX2,
	},
}

// avx512 handles vectors of sixteen; tiles of C are at most 12 x 32.
var avx512 = implementation{
	name: "avx512",
	gemm: gemmKernels{nr: 32, tile: tileAVX512, packT: packPanelAVX512, copyRows: copyRowsAVX512, tileBF16: tileBF16AVX512},
	vec: vectorKernels{
		add: addAVX512, axpy: axpyAVX512, scale: scaleAVX512, dot: dotAVX512,
		sumSquares: sumSquaresAVX512, max: maxAVX512, sum: sumAVX512, adamw: adamwAVX512,
	},
	row: rowKernels{
		rmsNorm: rmsNormAVX512, rmsNormBackward: rmsNormBackwardAVX512,
		swiGLU: swiGLUAVX512, swiGLUBackward: swiGLUBackwardAVX512, rope: ropeAVX2,
		softmax: softmaxAVX512, softmaxBackward: softmaxBackwardAVX512,
		crossEntropy: crossEntropyAVX512, logSumExp: logSumExpAVX512, attend: attendAVX512,
	},
}
