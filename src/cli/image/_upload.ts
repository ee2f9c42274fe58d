import { open } from 'node:fs/promises'
import type { ImageClient, UploadData, WireImage, WireTask } from '../../api/client.ts'
import { asFileFailure, Failure } from '../../base/failure.ts'
import { MiB } from '../../base/units.ts'
import { setTimeout as wait } from 'node:timers/promises'
import type { Context } from '../../base/context.ts'

/** Puts the data of a file, or of standard input (`-`), to an image; what goes is told as progress. */
export async function uploadFile(
  client: ImageClient,
  id: string,
  path: string,
  to: 'file' | 'stage',
  options: { readonly store?: string | undefined },
  context: Context,
): Promise<void> {
  await withUploadOf(path, context, async (data) => {
    await client.upload(id, to, { ...options, ...data })
  })
}

/** Opens a file, or standard input (`-`), to be sent; what goes is told as progress. */
export async function withUploadOf<T>(
  path: string,
  context: Context,
  send: (data: UploadData) => Promise<T>,
): Promise<T> {
  if (path === '-') {
    const stream = counted(process.stdin, undefined, context)
    try {
      return await send({ size: undefined, stream })
    } finally {
      process.stdin.destroy() // one that is silent would keep us alive
    }
  }
  const file = await open(path).catch((error: unknown) => {
    throw asFileFailure(error, path)
  })
  try {
    const there = await file.stat()
    const size = there.isFile() ? there.size : undefined // pipes and devices do not know theirs
    const stream = file.createReadStream({ highWaterMark: MiB, autoClose: false })
    return await send({ size, stream: counted(readable(stream, path), size, context) })
  } finally {
    await file.close()
  }
}

/** What cannot be read, such as a directory, is told as that. */
async function* readable(stream: AsyncIterable<Uint8Array>, path: string) {
  try {
    yield* stream
  } catch (error) {
    throw asFileFailure(error, path)
  }
}

async function* counted(
  stream: AsyncIterable<Uint8Array>,
  total: number | undefined,
  { progress }: Context,
): AsyncGenerator<Uint8Array> {
  let done = 0
  for await (const chunk of stream) {
    yield chunk
    done += chunk.length
    progress({ kind: 'bytes', name: 'upload', done, ...(total !== undefined && { total }) })
  }
}

/** Between two looks: short at first, since small images take no time. */
const FIRST_POLL_MS = 10
const LONGEST_POLL_MS = 500

/**
 * Waits until the image's import has ended. Fails with what its task says, as IMAGE_STATE; with INTERRUPTED
 * when we are told to stop.
 */
export async function followImport(
  client: ImageClient,
  id: string,
  { progress, signal }: Context,
): Promise<WireImage> {
  let last = ''
  for (let pauseMs = FIRST_POLL_MS; ; pauseMs = Math.min(pauseMs * 1.5, LONGEST_POLL_MS)) {
    const task: WireTask | undefined = (await client.tasks(id)).at(-1)
    if (task?.status === 'failure')
      throw new Failure('IMAGE_STATE', `the import failed: ${task.message}`)
    if (task === undefined || task.status === 'success') return await client.show(id)
    if (task.message !== last) progress({ kind: 'phase', name: 'import', detail: task.message })
    last = task.message
    await wait(pauseMs, undefined, { signal }).catch(() => {
      throw new Failure('INTERRUPTED', `the import of ${id} was interrupted`)
    })
  }
}
