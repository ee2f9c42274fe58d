/** Reflected polynomial of CRC-32C (Castagnoli). Node's own `crc32` is the other one. */
const POLYNOMIAL = 0x82f63b78

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1
  return value
})

/**
 * CRC-32C of the bytes going on from `seed`, without the inversions at both ends, as file systems
 * use it. The usual check sum is `~crc32c(bytes, 0xffffffff)`.
 */
export function crc32c(bytes: Uint8Array, seed: number): number {
  let value = seed >>> 0
  for (const byte of bytes) value = (value >>> 8) ^ (TABLE[(value ^ byte) & 0xff] ?? 0)
  return value >>> 0
}
