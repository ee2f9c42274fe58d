import type { Ask } from './parser.ts'

/** An ask that waits for its bytes, and those of them that have come. */
export interface WaitingAsk {
  readonly ask: Ask
  readonly bytes: Uint8Array
}

/** Where the bytes end that an ask wants. */
export function endOfAsk({ at, length }: Ask): number {
  return at + length
}

/** Bytes that an ask has in common with those from `start` to `end`. */
export function sharedBy(ask: Ask | undefined, start: number, end: number): number {
  if (ask === undefined || ask.at < 0) return 0
  return Math.max(0, Math.min(endOfAsk(ask), end) - Math.max(ask.at, start))
}

/** Copies what an ask wants of the bytes that stand at `start`. */
export function fillAsk(waiting: WaitingAsk, bytes: Uint8Array, start: number): void {
  const { at, length } = waiting.ask
  if (at < 0) return
  const from = Math.max(at, start)
  const to = Math.min(at + length, start + bytes.length)
  if (from < to) waiting.bytes.set(bytes.subarray(from - start, to - start), from - at)
}
