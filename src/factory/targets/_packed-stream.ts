import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip, createZstdCompress } from 'node:zlib'
import { Failure } from '../../base/failure.ts'
import { exitOf, findProgram, startProcess, stopProcess } from '../../base/process.ts'
import { MiB } from '../../base/units.ts'

export const STREAM_PACKINGS = ['none', 'gzip', 'zstd', 'xz', 'bzip2'] as const
export type StreamPacking = (typeof STREAM_PACKINGS)[number]

export const PACKING_ENDINGS: Readonly<Record<StreamPacking, string>> = {
  none: '',
  gzip: '.gz',
  zstd: '.zst',
  xz: '.xz',
  bzip2: '.bz2',
}

/** Clouds and container tools only read this once: speed is worth more than the last percent. */
const GZIP_LEVEL = 4

/** A stream, packed while it is told. Fails with TOOL_MISSING, COMMAND_FAILED, INTERRUPTED, and as the stream does. */
export async function* packedStream(
  content: AsyncIterable<Uint8Array>,
  packing: StreamPacking,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (packing === 'none') yield* content
  else if (packing === 'xz' || packing === 'bzip2') yield* packedByProgram(content, packing, signal)
  else {
    const packer =
      packing === 'gzip'
        ? createGzip({ level: GZIP_LEVEL, chunkSize: MiB })
        : createZstdCompress({ chunkSize: MiB })
    const fed = pipeline(Readable.from(content), packer, { signal })
    fed.catch(() => {}) // it is awaited below
    try {
      yield* packer as AsyncIterable<Buffer>
      await fed
    } catch (error) {
      throw asInterruption(error, signal)
    } finally {
      packer.destroy()
    }
  }
}

async function* packedByProgram(
  content: AsyncIterable<Uint8Array>,
  name: 'xz' | 'bzip2',
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const program = findProgram(name)
  if (program === undefined)
    throw new Failure('TOOL_MISSING', `the program '${name}' is not installed`, {
      details: { program: name },
      fix: `Install it (Debian: apt-get install ${name === 'xz' ? 'xz-utils' : name}).`,
    })
  const child = startProcess([program, '--compress', '--stdout'], {
    env: { LC_ALL: 'C.UTF-8' }, // nothing of the environment has a say in what is written
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const ended = exitOf(child, name)
  ended.catch(() => {}) // it is awaited below
  const { stdin, stdout } = child
  if (stdin === null || stdout === null) throw new Error('a program without its streams')
  const fed = pipeline(Readable.from(content), stdin, { signal })
  fed.catch(() => stdout.destroy())
  try {
    yield* stdout as AsyncIterable<Buffer>
    await fed
    const code = await ended
    if (code !== 0) throw new Failure('COMMAND_FAILED', `${name} ended with ${code}`)
  } catch (error) {
    await stopProcess(child)
    // Why it was not fed any more says more than that it gave nothing.
    const why = await fed.then(
      () => error,
      (fault: unknown) => fault,
    )
    throw asInterruption(why, signal)
  } finally {
    await stopProcess(child)
  }
}

function asInterruption(error: unknown, signal: AbortSignal): unknown {
  return signal.aborted ? new Failure('INTERRUPTED', 'packing was interrupted') : error
}
