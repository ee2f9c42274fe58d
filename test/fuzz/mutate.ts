/** Damage that a parser is likely to trip over: numbers at borders, pieces moved, copied and cut. */

/** Borders of signed and unsigned numbers, and what shifts and products overflow on. */
const EDGES = [
  0n,
  1n,
  2n,
  3n,
  7n,
  8n,
  0x7fn,
  0x80n,
  0xffn,
  0x100n,
  0x1ffn,
  0x200n,
  0x7fffn,
  0xffffn,
  0x10000n,
  0x7fffffffn,
  0x80000000n,
  0xfffffffen,
  0xffffffffn,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 62n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
]

/** Numbers from 0 up to a bound, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): (bound: number) => number {
  let state = seed >>> 0
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), state | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return Math.floor((((value ^ (value >>> 14)) >>> 0) / 2 ** 32) * bound)
  }
}

/**
 * Where headers and tables stand: sectors whose bytes are not all alike. Damage to the guest's data
 * teaches nothing, so the images to start from hold runs of one byte as data.
 */
export function sectorsOfInterest(file: Uint8Array): number[] {
  const found: number[] = []
  for (let at = 0; at < file.length; at += 512) {
    const sector = file.subarray(at, at + 512)
    if (sector.some((value) => value !== sector[0])) found.push(at)
  }
  return found
}

/** A damaged copy: one to six changes. */
export function mutate(
  file: Uint8Array,
  sectors: readonly number[],
  random: (bound: number) => number,
): Buffer {
  let bytes: Buffer = Buffer.from(file)
  for (let left = 1 + random(6); left > 0 && bytes.length > 0; left--)
    bytes = change(bytes, sectors, random)
  return bytes
}

function change(bytes: Buffer, sectors: readonly number[], random: (n: number) => number): Buffer {
  const sector = sectors.length > 0 ? (sectors[random(sectors.length)] ?? 0) : 0
  const start = Math.min(sector, bytes.length - 1)
  const at = Math.min(start + (random(2) === 0 ? random(512) : random(64) * 8), bytes.length - 1)
  switch (random(12)) {
    case 0:
      return bytes.subarray(0, random(2) === 0 ? at : random(bytes.length + 1))
    case 1:
      return Buffer.concat([bytes, Buffer.alloc(random(3) * 512 + random(2), random(256))])
    case 2:
      bytes.copyWithin(at, random(bytes.length), random(bytes.length))
      return bytes
    case 3:
      bytes.fill(random(256), at, Math.min(at + random(64), bytes.length))
      return bytes
    case 4:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8))
      return bytes
    case 5: {
      // a number that stands elsewhere in the file, so that two things claim one place
      const from = (sectors[random(Math.max(sectors.length, 1))] ?? 0) + random(64) * 8
      bytes.set(bytes.subarray(from, from + Math.min(512, bytes.length - at)), at)
      return bytes
    }
    case 6:
      return put(bytes, at, BigInt(bytes.length) + BigInt(random(3) - 1) * 512n, random)
    case 7:
      return put(bytes, at, BigInt(random(bytes.length)), random)
    default:
      return put(bytes, at, EDGES[random(EDGES.length)] ?? 0n, random)
  }
}

function put(bytes: Buffer, at: number, value: bigint, random: (n: number) => number): Buffer {
  const width = [1, 2, 4, 8, 8, 4][random(6)] ?? 4
  const big = random(2) === 0
  for (let index = 0; index < width; index++) {
    const place = at + (big ? width - 1 - index : index)
    if (place < bytes.length) bytes[place] = Number((value >> BigInt(index * 8)) & 0xffn)
  }
  return bytes
}
