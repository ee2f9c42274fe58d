/** Archives on this host, made into plain tar files that any guest can unpack. */
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { Failure } from '../../base/failure.ts'
import { exitOf, runTool, startProcess, stopProcess } from '../../base/process.ts'
import { formatSize, GiB } from '../../base/units.ts'

const MAX_UNPACKED = 64 * GiB

/** By their first bytes. */
const KINDS: readonly { kind: 'gzip' | 'zstd' | 'xz' | 'bzip2' | 'zip'; magic: Buffer }[] = [
  { kind: 'gzip', magic: Buffer.from([0x1f, 0x8b]) },
  { kind: 'zstd', magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]) },
  { kind: 'xz', magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]) },
  { kind: 'bzip2', magic: Buffer.from('BZh') },
  { kind: 'zip', magic: Buffer.from('PK\x03\x04', 'latin1') },
]

/**
 * A plain tar file of the archive's content: `path` itself, or one made in `scratch`.
 * Fails with STEP_FAILED (no archive, too large), TOOL_MISSING (xz, bzip2, unzip), COMMAND_FAILED.
 */
export async function toTar(path: string, scratch: string, signal: AbortSignal): Promise<string> {
  const head = await readHead(path)
  const kind = KINDS.find(({ magic }) => head.subarray(0, magic.length).equals(magic))?.kind
  if (kind === undefined) {
    if (head.subarray(257, 262).toString() === 'ustar') return path
    throw new Failure('STEP_FAILED', `${path} is neither a tar archive nor a zip archive`)
  }
  const tar = join(scratch, 'content.tar')
  if (kind === 'zip') return await zipToTar(path, scratch, tar, signal)
  if (kind === 'gzip' || kind === 'zstd') {
    const decompress = kind === 'gzip' ? createGunzip() : createZstdDecompress()
    await pipeline(createReadStream(path), decompress, limiter(), createWriteStream(tar), {
      signal,
    })
  } else await decompressByTool([kind, '-dc', '--', path], tar, signal)
  return tar
}

async function readHead(path: string): Promise<Buffer> {
  await using file = await open(path)
  const head = Buffer.alloc(512)
  const { bytesRead } = await file.read(head, 0, head.length, 0)
  return head.subarray(0, bytesRead)
}

function limiter(): Transform {
  let size = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, next) {
      size += chunk.length
      next(size > MAX_UNPACKED ? tooLarge() : null, chunk)
    },
  })
}

function tooLarge(): Failure {
  return new Failure('STEP_FAILED', `the archive unpacks to more than ${formatSize(MAX_UNPACKED)}`)
}

async function decompressByTool(
  argv: readonly string[],
  target: string,
  signal: AbortSignal,
): Promise<void> {
  const child = startProcess(argv)
  try {
    const ended = exitOf(child, argv[0] ?? '')
    const copied = pipeline(child.stdout as Readable, limiter(), createWriteStream(target), {
      signal,
    })
    const [code] = await Promise.all([ended, copied])
    if (code !== 0)
      throw new Failure('COMMAND_FAILED', `${argv[0]} ended with ${code}: the archive is damaged`)
  } finally {
    await stopProcess(child)
  }
}

/** unzip takes no member out of the directory, and makes links only when all files are written. */
async function zipToTar(
  path: string,
  scratch: string,
  tar: string,
  signal: AbortSignal,
): Promise<string> {
  const summary = (await runTool(['unzip', '-Zt', path], { signal })).toString()
  if (Number(/, (\d+) bytes uncompressed/.exec(summary)?.[1] ?? 0) > MAX_UNPACKED) throw tooLarge()
  const directory = join(scratch, 'content')
  await mkdir(directory)
  await runTool(['unzip', '-q', '-o', '-d', directory, path], { signal })
  await runTool(
    ['tar', '-c', '-f', tar, '-C', directory, '--owner=0', '--group=0', '--numeric-owner', '.'],
    { signal },
  )
  return tar
}

/** Names at the top of a tar file, after `strip` leading parts are taken off; at most `limit`. */
export async function listTop(tar: string, strip: number, limit: number): Promise<string[]> {
  const names = new Set<string>()
  const listing = (await runTool(['tar', '-t', '-f', tar])).toString()
  for (const line of listing.split('\n')) {
    const parts = line.split('/').filter((part) => part !== '' && part !== '.')
    const name = parts[strip]
    if (name !== undefined && !name.includes('\\')) names.add(name)
    if (names.size >= limit) break
  }
  return [...names].sort()
}
