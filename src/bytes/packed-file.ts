/**
 * Files that are packed while they are written: compressed by zlib or zstd here, or by a program that
 * reads its standard input. The same bytes give the same file, on any machine with the same versions.
 */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { open, statfs } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname, resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { constants, createGzip, createZstdCompress } from 'node:zlib'
import { Failure } from '../base/failure.ts'
import { exitOf, findProgram, startProcess, stopProcess } from '../base/process.ts'
import { MiB } from '../base/units.ts'

/** `squashfs`: what comes is a tar archive, and its directory `rootfs` becomes the root. */
export type Packing = 'none' | 'gz' | 'zst' | 'xz' | 'squashfs'

/** What is written is handed on in order, one piece at a time. */
export type Put = (bytes: Uint8Array) => Promise<void>

const MAX_MESSAGE = 4096
const HIGH_WATER = 4 * MiB

/**
 * Makes the new file `path` of what `fill` hands on. A file that is not finished is left where it is,
 * for the caller to remove. Fails with TOOL_MISSING, COMMAND_FAILED, NO_SPACE, INTERRUPTED, and as
 * `fill` does; system errors come as they are.
 */
export async function writePackedFile(
  path: string,
  packing: Packing,
  fill: (put: Put) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  if (packing === 'xz' || packing === 'squashfs')
    return await writeByProgram(path, packing, fill, signal)
  const file = createWriteStream(path, { flags: 'wx', highWaterMark: HIGH_WATER })
  const packer = packerOf(packing)
  packer?.on('error', (error) => file.destroy(error))
  file.on('error', (error) => packer?.destroy(error))
  packer?.pipe(file)
  try {
    await fillStream(packer ?? file, fill, signal)
    await finished(file)
  } catch (error) {
    packer?.destroy()
    file.destroy()
    throw error
  }
}

function packerOf(packing: 'none' | 'gz' | 'zst') {
  if (packing === 'gz') return createGzip()
  if (packing === 'zst')
    return createZstdCompress({
      params: { [constants.ZSTD_c_checksumFlag]: 1, [constants.ZSTD_c_compressionLevel]: 9 },
    })
  return undefined
}

/** Hands everything to a stream and ends it; an error of the stream is thrown where it is met. */
async function fillStream(
  stream: Writable,
  fill: (put: Put) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  let failed: Error | undefined
  stream.on('error', (error) => (failed ??= error))
  await fill(async (bytes) => {
    if (signal.aborted) throw new Failure('INTERRUPTED', 'writing was interrupted')
    if (failed !== undefined) throw failed
    if (!stream.write(bytes)) await once(stream, 'drain')
  })
  stream.end()
}

async function writeByProgram(
  path: string,
  packing: 'xz' | 'squashfs',
  fill: (put: Put) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  await using output = packing === 'xz' ? await open(path, 'wx') : undefined
  const { program, argv } = commandFor(packing, path)
  const child = startProcess(argv, {
    env: { LC_ALL: 'C.UTF-8' }, // nothing of the environment has a say in what is written
    stdio: ['pipe', output?.fd ?? 'ignore', 'pipe'],
  })
  let message = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    message = (message + text).slice(-MAX_MESSAGE)
  })
  const ended = exitOf(child, program)
  ended.catch(() => {}) // it is awaited below, once what fill did is known
  try {
    if (child.stdin === null) throw new Error('a program without standard input')
    const filled = fillStream(child.stdin, fill, signal).catch((error: unknown) => error)
    const code = await Promise.race([ended, filled.then(async (error) => await settle(error))])
    if (code !== 0) throw await failureOf(program, code, message, path)
  } finally {
    await stopProcess(child)
  }

  /** The program's own word on why it stopped reading tells more than a broken pipe. */
  async function settle(error: unknown): Promise<number> {
    const isBroken = error instanceof Error && 'code' in error && error.code === 'EPIPE'
    if (error !== undefined && !isBroken) throw error
    return await ended
  }
}

/** Programs do not all say that a disk is full; what they have written is still there. */
async function failureOf(
  program: string,
  code: number,
  message: string,
  path: string,
): Promise<Failure> {
  const directory = dirname(path)
  const { bavail, bsize } = await statfs(directory)
  if (bavail * bsize < MiB)
    return new Failure('NO_SPACE', `no space left in ${directory} for what ${program} writes`)
  const why = message.trim().split('\n').at(-1) || 'no message'
  return new Failure('COMMAND_FAILED', `${program} ended with ${code}: ${why}`, {
    details: { program, code, message },
  })
}

/** With more than one thread xz writes blocks, the same however many there are; with one it does not. */
function commandFor(packing: 'xz' | 'squashfs', path: string) {
  const threads = String(Math.max(2, availableParallelism()))
  const [program, words, install] =
    packing === 'xz'
      ? ['xz', ['--compress', '--stdout', '-6', `--threads=${threads}`], 'xz-utils']
      : ['tar2sqfs', [...SQUASHFS, '--num-jobs', threads, resolve(path)], 'squashfs-tools-ng']
  const found = findProgram(program)
  if (found === undefined)
    throw new Failure('TOOL_MISSING', `the program '${program}' is not installed`, {
      details: { program },
      fix: `Install it (Debian: apt-get install ${install}).`,
    })
  return { program, argv: [found, ...words] }
}

/** Links are content, not paths of ours; what cannot be read is an error, not a warning. */
const SQUASHFS = [
  '--quiet',
  '--no-skip',
  '--compressor',
  'zstd',
  '--root-becomes',
  'rootfs',
  '--no-symlink-retarget',
]
