import { type FileHandle, open } from 'node:fs/promises'
import { asFileFailure, Failure } from '../../base/failure.ts'
import { MiB } from '../../base/units.ts'
import { loadFileCalls } from '../../bytes/file-calls.ts'
import { PartCopier } from '../../bytes/part-copier.ts'
import { writeAll } from '../../bytes/sinks.ts'
import { readInto } from '../../bytes/source.ts'
import type { OpenBody } from './open-body.ts'

const CHUNK = MiB

type CopiedBody = Pick<OpenBody, 'source' | 'map'>

interface CopyOptions {
  readonly signal: AbortSignal
  /** How much is done, 0 to 1. */
  readonly tell?: ((fraction: number) => void) | undefined
}

/**
 * Writes a body into a new raw file, to be worked on. Only data is moved: by the kernel (which shares blocks where the
 * file system can) if the store is on this host. Fails with NO_SPACE, FILE_UNREADABLE, INTERRUPTED, and as reading does.
 */
export async function copyBody(
  body: CopiedBody,
  path: string,
  options: CopyOptions,
): Promise<void> {
  try {
    await using file = await open(path, 'wx', 0o600)
    await file.truncate(body.map.size)
    await (body.source.file === undefined
      ? copyThroughMemory(body, file, options)
      : copyByKernel(body, body.source.file, { file, path }, options))
  } catch (error) {
    throw asFileFailure(error, path)
  }
}

async function copyByKernel(
  { source, map }: CopiedBody,
  from: NonNullable<CopiedBody['source']['file']>,
  { file, path }: { readonly file: FileHandle; readonly path: string },
  { signal, tell }: CopyOptions,
): Promise<void> {
  const calls = await loadFileCalls()
  const to = { descriptor: file.fd, name: path }
  const copier = new PartCopier({ ...from, name: source.name }, to, { calls, signal })
  try {
    for (const { offset, length } of map.extents()) {
      await copier.copy(from.offset + offset, offset, length)
      tell?.((offset + length) / map.size)
    }
    await copier.end()
  } finally {
    await copier.settle()
  }
}

async function copyThroughMemory(
  { source, map }: CopiedBody,
  file: FileHandle,
  { signal, tell }: CopyOptions,
): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK)
  for (const { offset, length } of map.extents())
    for (let at = offset; at < offset + length;) {
      if (signal.aborted) throw new Failure('INTERRUPTED', `copying ${source.name} was interrupted`)
      const part = buffer.subarray(0, offset + length - at)
      await readInto(source, part, at)
      await writeAll(file, part, at)
      at += part.length
      tell?.(at / map.size)
    }
}
