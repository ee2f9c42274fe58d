import { UNIT } from './disk-map.ts'

const ZEROS = Buffer.alloc(UNIT)

/** Whether all bytes from `start` to `end` are zeros. Real data is told apart by its first bytes. */
export function isZero(bytes: Buffer, start = 0, end = bytes.length): boolean {
  for (let at = start; at < end; at += UNIT) {
    const length = Math.min(UNIT, end - at)
    if (ZEROS.compare(bytes, at, at + length, 0, length) !== 0) return false
  }
  return true
}

/**
 * Cuts bytes that stand at `offset` of a disk at the borders of its units, and joins neighbours that
 * are all zeros, or all not.
 */
export function* splitZeros(
  bytes: Buffer,
  offset: number,
): Generator<{ start: number; end: number; zero: boolean }> {
  let run: { start: number; end: number; zero: boolean } | undefined
  for (let start = 0; start < bytes.length;) {
    const end = Math.min(start + UNIT - ((offset + start) % UNIT), bytes.length)
    const zero = isZero(bytes, start, end)
    if (run?.zero === zero) run.end = end
    else {
      if (run) yield run
      run = { start, end, zero }
    }
    start = end
  }
  if (run) yield run
}
