/**
 * CRC-32 (of gzip and PNG) of runs of zeros, by arithmetic instead of by reading them. A check sum is the
 * remainder of a polynomial over two elements, so a zero byte behind the content is eight times x, and
 * one taken away is eight times 1/x.
 * Source: RFC 1952, 8; M. Adler's crc32_combine in zlib.
 */

/** The polynomial, highest power in the lowest bit; so are all of them here. */
const POLYNOMIAL = 0xedb88320
/** x^0. */
const ONE = 0x80000000
/** The powers of x come back after so many. */
const ORDER = 2 ** 32 - 1

/** x^1, x^2, x^4, x^8 and so on. */
const SQUARES = new Uint32Array(32)
SQUARES[0] = ONE >>> 1
for (let k = 1; k < 32; k++) SQUARES[k] = product(SQUARES[k - 1]!, SQUARES[k - 1]!)

/** The CRC-32 of `length` zeros. */
export function crc32OfZeros(length: number): number {
  return ~product(powerOfX((length % ORDER) * 8), 0xffffffff) >>> 0
}

/** The CRC-32 of content without its last `length` bytes, which are zeros, from that with them. */
export function crc32WithoutZeros(crc: number, length: number): number {
  return ~product(powerOfX(ORDER - (((length % ORDER) * 8) % ORDER)), ~crc >>> 0) >>> 0
}

function powerOfX(exponent: number): number {
  let rest = exponent % ORDER
  let power = ONE
  for (let k = 0; rest > 0; k++) {
    if (rest % 2 === 1) power = product(SQUARES[k]!, power)
    rest = Math.floor(rest / 2)
  }
  return power
}

/** a times b, modulo the polynomial. */
function product(a: number, b: number): number {
  let sum = 0
  let term = b
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) sum ^= term
    term = (term & 1) === 1 ? (term >>> 1) ^ POLYNOMIAL : term >>> 1
  }
  return sum >>> 0
}
