import { readSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { MiB } from '../base/units.ts'
import type { Source } from '../bytes/source.ts'
import { type Listener, type Parsed, ParserRun } from './_parsing.ts'
import { type Ask, DEFAULT_LIMITS, type DiskParser, type Extent, type Limits } from './parser.ts'

/** Between two turns of the event loop: this many bytes, where an ask counts as a page at least. */
const TURN = 4 * MiB
const PAGE = 4096

export interface ParseOptions {
  readonly limits?: Limits | undefined
  readonly now?: (() => Date) | undefined
  /** Hears of every extent, in the order in which the parser finds them. */
  readonly onExtent?: ((extent: Extent) => void) | undefined
}

/**
 * Takes apart a file that can be read anywhere: gives the parser what it asks for. Files are read
 * without the detour over the thread pool, which would cost more than reading does, with a pause for
 * others every few MiB.
 */
export async function parseSource(
  parser: DiskParser,
  source: Source,
  { limits = DEFAULT_LIMITS, now, onExtent }: ParseOptions = {},
): Promise<Parsed> {
  const listener: Listener = onExtent ? { extent: onExtent } : {}
  const run = new ParserRun(parser, {
    limits,
    listener,
    fileSize: source.size,
    ...(now && { now }),
  })
  let read = 0
  for (let ask = run.next(); ask !== undefined;) {
    const at = ask.at < 0 ? source.size + ask.at : ask.at
    if (at < 0 || at + ask.length > source.size) {
      run.truncated(ask, source.size)
      break
    }
    const bytes = readAtOnce(source, at, ask) ?? (await source.read(at, ask.length))
    read += Math.max(PAGE, ask.length)
    if (read > TURN) {
      read = 0
      await setImmediate()
    }
    ask = run.next(bytes, ask)
  }
  return run.finish(source.size)
}

function readAtOnce(source: Source, at: number, ask: Ask): Uint8Array | undefined {
  if (source.file === undefined) return undefined
  const { descriptor, offset } = source.file
  const bytes = Buffer.allocUnsafeSlow(ask.length)
  for (let done = 0; done < bytes.length;) {
    const count = readSync(descriptor, bytes, done, bytes.length - done, offset + at + done)
    if (count === 0) return undefined // it shrank: the plain way says so
    done += count
  }
  return bytes
}
