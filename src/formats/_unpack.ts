/**
 * Compressed files, one pass through them: bytes in, bytes out, with every way in which a stream can
 * be wrong as a finding. What comes out is bounded: by a size, and by a ratio once it is much, since
 * zeros shrink a thousandfold honestly and for as long as somebody likes otherwise. The time it may
 * take is for whoever pushes to bound.
 */
import { type Duplex, PassThrough, type Writable } from 'node:stream'
import { constants, createGunzip, createZstdDecompress } from 'node:zlib'
import { exitOf, findProgram, startProcess, stopProcess } from '../base/process.ts'
import { Failure, messageOf, systemCode } from '../base/failure.ts'
import { formatSize, GiB, KiB, MiB } from '../base/units.ts'
import type { StreamPacking } from './_claim.ts'
import type { FindingList } from './_findings.ts'
import type { Limits } from './parser.ts'
import { unzip, ZipError, type ZipFault } from './_unzip.ts'

/** Memory that xz may take: what `xz -9` needs is 65 MiB. */
const XZ_MEMORY = 128 * MiB
/** Up to 128 MiB of window; what was packed with `zstd --long=28` and more is refused. */
const ZSTD_WINDOW_LOG = 27
/** A disk that is nearly empty shrinks more than a thousandfold; only much of nothing is a bomb. */
const FREE = 64 * GiB
const RATIO = 1000
const OUTPUT_CHUNK = 256 * KiB

/** Takes what was unpacked, in order. Chunks are the receiver's to keep. */
export type Sink = (chunk: Uint8Array) => void | Promise<void>

export interface UnpackOptions {
  readonly limits: Limits
  readonly findings: FindingList
  readonly sink: Sink
  /** Bytes up to which what comes out is not compared with what went in. Default 64 GiB. */
  readonly freeSize?: number | undefined
}

/** Unpacks one compressed stream as it comes. What is wrong is noted; after that it takes bytes and drops them. */
export interface Unpacker {
  /** Whether what is still to come is of no interest any more. */
  readonly stopped: boolean
  push(chunk: Uint8Array): Promise<void>
  /** Says that nothing follows; false when the content did not come out whole. */
  end(): Promise<boolean>
  /** Nothing more of what comes out is wanted. */
  stop(): void
  /** Gives up; what it started is ended. */
  close(): Promise<void>
}

/** Fails with TOOL_MISSING when the program for xz or bzip2 is not installed. */
export function openUnpacker(packing: StreamPacking | 'zip', options: UnpackOptions): Unpacker {
  if (packing === 'zip') return new StreamUnpacker(startUnzip(), options)
  if (packing === 'gzip')
    return new StreamUnpacker(engineOf(createGunzip({ chunkSize: OUTPUT_CHUNK })), options)
  if (packing === 'zstd')
    return new StreamUnpacker(
      engineOf(
        createZstdDecompress({
          chunkSize: OUTPUT_CHUNK,
          params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG },
        }),
      ),
      options,
    )
  return new StreamUnpacker(startTool(packing), options)
}

/** What does the work: bytes go into one end and come out of the other. */
interface Engine {
  readonly input: Writable
  readonly output: AsyncIterable<Buffer>
  /** Compressed bytes that were made use of, when the engine knows; told once the output has ended. */
  consumed(): number | undefined
  /** What went wrong, once the output has ended; undefined if nothing did. */
  fault(): Promise<Fault | undefined>
  close(): Promise<void>
}

interface Fault {
  readonly code: ZipFault | 'LIMIT_REACHED' | 'UNUSED_BYTES'
  readonly found: string
}

class StreamUnpacker implements Unpacker {
  readonly #engine: Engine
  readonly #options: UnpackOptions
  readonly #pump: Promise<void>
  #taken = 0
  /** Behind the last byte that was not zero: what follows the stream may be padding. */
  #lastContent = 0
  #given = 0
  #stopped = false
  #outputEnded = false
  #sinkError: unknown

  constructor(engine: Engine, options: UnpackOptions) {
    this.#engine = engine
    this.#options = options
    engine.input.on('error', () => {}) // told by `fault`
    this.#pump = this.#run()
  }

  get stopped(): boolean {
    return this.#stopped
  }

  async push(chunk: Uint8Array): Promise<void> {
    this.#rethrow()
    for (let at = chunk.length - 1; at >= 0; at--)
      if (chunk[at] !== 0) {
        this.#lastContent = this.#taken + at + 1
        break
      }
    this.#taken += chunk.length
    if (this.#outputEnded || this.#stopped || this.#engine.input.destroyed) return
    if (!this.#engine.input.write(chunk)) await this.#drain()
    this.#rethrow()
  }

  async end(): Promise<boolean> {
    if (!this.#outputEnded && !this.#engine.input.destroyed) this.#engine.input.end()
    await this.#pump
    this.#rethrow()
    if (this.#stopped) return false
    const fault = await this.#engine.fault()
    if (fault) {
      const { code, found } = fault
      this.#options.findings.note(code, { found, severity: 'refuse' })
      return false
    }
    const consumed = this.#engine.consumed()
    if (consumed !== undefined && this.#lastContent > consumed)
      this.#options.findings.note('UNUSED_BYTES', {
        at: consumed,
        found: `${this.#taken - consumed} bytes behind the compressed stream`,
        severity: 'refuse',
      })
    return true
  }

  stop(): void {
    this.#stopped = true
  }

  async close(): Promise<void> {
    this.#stopped = true
    await this.#engine.close()
    await this.#pump
  }

  async #run(): Promise<void> {
    try {
      for await (const chunk of this.#engine.output) {
        this.#given += chunk.length
        if (this.#isTooMuch()) break
        if (!(await this.#give(chunk)) || this.#stopped) break
      }
    } catch {
      // the engine's own, told by `fault`
    } finally {
      this.#outputEnded = true
      this.#engine.input.emit('drain') // nobody will take more: let `push` go on
      if (this.#stopped || this.#sinkError !== undefined) await this.#engine.close()
    }
  }

  async #give(chunk: Uint8Array): Promise<boolean> {
    try {
      await this.#options.sink(chunk)
      return true
    } catch (error) {
      this.#sinkError = error
      return false
    }
  }

  /** Whether more came out than may; then there is a finding, and the end. */
  #isTooMuch(): boolean {
    const { findings, limits, freeSize = FREE } = this.#options
    if (this.#given > limits.unpackedSize)
      findings.note('SIZE_LIMIT', {
        found: 'more content in the compressed stream',
        expected: `at most ${formatSize(limits.unpackedSize)}`,
      })
    else if (this.#given > freeSize && this.#given > RATIO * this.#taken)
      findings.note('LIMIT_REACHED', {
        found: `content that is more than ${RATIO} times the compressed bytes, after ${formatSize(freeSize)} of it`,
      })
    else return false
    this.#stopped = true
    return true
  }

  async #drain(): Promise<void> {
    await new Promise<void>((resolve) => {
      const { input } = this.#engine
      const done = () => {
        input.off('drain', done)
        input.off('error', done)
        input.off('close', done)
        resolve()
      }
      input.once('drain', done)
      input.once('error', done)
      input.once('close', done)
      if (this.#outputEnded || input.destroyed) done()
    })
  }

  #rethrow(): void {
    if (this.#sinkError !== undefined) throw this.#sinkError
  }
}

/** Node's own gzip and zstd. They go on from member to member, and take zeros behind the last. */
function engineOf(stream: Duplex & { bytesWritten: number }): Engine {
  let error: unknown
  stream.once('error', (thrown) => (error = thrown))
  return {
    input: stream,
    output: stream,
    consumed: () => stream.bytesWritten,
    fault: async () => {
      if (error === undefined) return undefined
      const found = messageOf(error)
      const code = systemCode(error)
      if (code === 'Z_BUF_ERROR' || /unexpected end|srcSize_wrong/i.test(`${found} ${code}`))
        return { code: 'TRUNCATED', found }
      if (/window|memory/i.test(`${found} ${code}`)) return { code: 'LIMIT_REACHED', found }
      return { code: 'CONTENT_DAMAGED', found }
    },
    close: async () => void stream.destroy(),
  }
}

/** The one file of a zip archive. */
function startUnzip(): Engine {
  const input = new PassThrough()
  let error: unknown
  const output = async function* () {
    try {
      yield* unzip(input)
    } catch (thrown) {
      error = thrown
    }
  }
  return {
    input,
    output: output(),
    consumed: () => undefined,
    fault: async () => {
      if (error === undefined) return undefined
      if (!(error instanceof ZipError)) throw error
      return { code: error.fault, found: error.message }
    },
    close: async () => void input.destroy(),
  }
}

/** xz and bzip2 are programs of their own, which see nothing but the bytes they are given. */
function startTool(packing: 'xz' | 'bzip2'): Engine {
  const program = findProgram(packing)
  if (program === undefined)
    throw new Failure('TOOL_MISSING', `the program '${packing}' is not installed`, {
      details: { program: packing },
    })
  const bounds =
    packing === 'xz' ? ['--format=xz', `--memlimit-decompress=${XZ_MEMORY}`, '--threads=1'] : []
  const child = startProcess([program, '--decompress', '--stdout', ...bounds], {
    env: { LC_ALL: 'C' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const { stdin, stdout, stderr } = child
  if (!stdin || !stdout || !stderr) throw new Error(`${packing} has no pipes`)
  let said = ''
  stderr.on('data', (text: Buffer) => (said = (said + text.toString('latin1')).slice(0, 2000)))
  const exit = exitOf(child, packing)
  exit.catch(() => {}) // told by `fault`
  return {
    input: stdin,
    output: stdout as AsyncIterable<Buffer>,
    consumed: () => undefined,
    fault: async () => {
      const code = await exit
      const found =
        said
          .replaceAll(/^[^:\n]*: (\(stdin\): )?/gm, '')
          .trim()
          .split('\n')[0] ?? ''
      if (/trailing garbage|format not recognized/i.test(said))
        return { code: 'UNUSED_BYTES', found }
      if (code === 0) return undefined
      if (/memory/i.test(said)) return { code: 'LIMIT_REACHED', found }
      if (/unexpected(ly)? end|ends unexpectedly/i.test(said)) return { code: 'TRUNCATED', found }
      return { code: 'CONTENT_DAMAGED', found: found || `${packing} ended with ${code}` }
    },
    close: () => stopProcess(child),
  }
}
