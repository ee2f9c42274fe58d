/** Damage for parsers: bytes changed here and there, by values that break arithmetic. */
import * as fc from 'fast-check'

/** One change: the value is written at the offset, little- or big-endian. */
interface Change {
  offset: number
  width: 1 | 2 | 4 | 8
  value: bigint
  big: boolean
}

/** Borders of signed and unsigned numbers, and small ones that are often counts. */
const EDGES = [0n, 1n, 2n, 7n, 0x7fn, 0xffn, 0x7fffn, 0xffffn, 0x7fffffffn, 0xffffffffn]
const WIDE_EDGES = [2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]

/**
 * Copies of `bytes` with one to twelve changes, most of them inside the ranges that matter
 * (half-open, such as a superblock), the others anywhere.
 */
export function damaged(
  bytes: Uint8Array,
  ranges: readonly (readonly [start: number, end: number])[],
): fc.Arbitrary<Uint8Array> {
  const inside = ranges.map(([start, end]) => fc.integer({ min: start, max: end - 1 }))
  const anywhere = fc.integer({ min: 0, max: bytes.length - 1 })
  const value = fc.oneof(
    fc.constantFrom(...EDGES, ...WIDE_EDGES),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  )
  const change: fc.Arbitrary<Change> = fc.record({
    offset: fc.oneof(...inside, ...inside, anywhere),
    width: fc.constantFrom(1, 2, 4, 8),
    value,
    big: fc.boolean(),
  })
  return fc
    .array(change, { minLength: 1, maxLength: 12 })
    .map((changes) => changes.reduce(apply, Buffer.from(bytes)))
}

function apply(bytes: Buffer, { offset, width, value, big }: Change): Buffer {
  for (let index = 0; index < width; index++) {
    const at = offset + (big ? width - 1 - index : index)
    if (at < bytes.length) bytes[at] = Number((value >> BigInt(index * 8)) & 0xffn)
  }
  return bytes
}
