/** Reflected polynomial of CRC-32C (Castagnoli). Node's own `crc32` is the other one. */
const POLYNOMIAL = 0x82f63b78

/** Bytes that are taken at a time ("slicing by 8"): more than ten times as fast as one by one. */
const SLICES = 8
/** Where the part of the table for the last of them starts. */
const LAST = (SLICES - 1) * 256

/** For each of the eight bytes, the first ones first: what its value does to the check sum. */
const TABLE = makeTable()

function makeTable(): Int32Array {
  const table = new Int32Array(SLICES * 256)
  for (let index = 0; index < 256; index++) {
    let value = index
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1
    table[LAST + index] = value
  }
  for (let index = LAST - 1; index >= 0; index--) {
    const next = table[index + 256]!
    table[index] = (next >>> 8) ^ table[LAST + (next & 0xff)]!
  }
  return table
}

/**
 * CRC-32C of the bytes going on from `seed`, without the inversions at both ends, as file systems
 * use it. The usual check sum is `~crc32c(bytes, 0xffffffff)`.
 */
export function crc32c(bytes: Uint8Array, seed: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const whole = bytes.length - (bytes.length % SLICES)
  let value = seed | 0
  for (let at = 0; at < whole; at += SLICES) {
    const low = view.getUint32(at, true) ^ value
    const high = view.getUint32(at + 4, true)
    value =
      TABLE[low & 0xff]! ^
      TABLE[256 + ((low >>> 8) & 0xff)]! ^
      TABLE[512 + ((low >>> 16) & 0xff)]! ^
      TABLE[768 + (low >>> 24)]! ^
      TABLE[1024 + (high & 0xff)]! ^
      TABLE[1280 + ((high >>> 8) & 0xff)]! ^
      TABLE[1536 + ((high >>> 16) & 0xff)]! ^
      TABLE[1792 + (high >>> 24)]!
  }
  for (let at = whole; at < bytes.length; at++)
    value = (value >>> 8) ^ TABLE[LAST + ((value ^ bytes[at]!) & 0xff)]!
  return value >>> 0
}
