/**
 * A disk as an object of Cloud Storage, sent in chunks that can be sent again from where the service has got.
 * Source: Cloud Storage, "Perform resumable uploads": chunks of whole 256 KiB, 308 says what has arrived.
 */
import { Failure, isFailure } from '../../base/failure.ts'
import { MiB } from '../../base/units.ts'
import { askRest, askToRemove, type RestAnswer } from '../../clouds/ask-rest.ts'
import type { FormattedDisk } from '../cloud-target.ts'
import type { PhaseScene } from '../os-builder.ts'
import type { Google } from './_gce-client.ts'

const CHUNK = 8 * MiB
/** Chunks of which nothing arrived, one after the other. */
const MOST_STUCK = 5
const NOTHING = Buffer.alloc(0)

export interface ObjectPlace {
  readonly bucket: string
  readonly name: string
}

export async function sendObject(
  google: Google,
  { bucket, name }: ObjectPlace,
  disk: FormattedDisk,
  { signal, tell }: PhaseScene,
): Promise<void> {
  const query = `uploadType=resumable&name=${encodeURIComponent(name)}`
  const { headers } = await askRest(google.rest, {
    method: 'POST',
    url: `${google.storage}/upload/storage/v1/b/${encodeURIComponent(bucket)}/o?${query}`,
    headers: {
      'x-upload-content-type': disk.mediaType,
      'x-upload-content-length': String(disk.size),
    },
    json: {},
    repeatable: true, // another session hurts nobody
    signal,
  })
  const { location: url } = headers
  if (url === undefined) throw new Failure('CLOUD_FAILED', 'Google gave no address for an object')
  const put = async (range: string, body: Uint8Array, repeatable: boolean) =>
    await askRest(google.rest, {
      method: 'PUT',
      url,
      headers: { 'content-range': `bytes ${range}/${disk.size}` },
      body,
      accepts: [200, 201, 308],
      repeatable,
      signal,
    })
  for (let at = 0, stuck = 0; at < disk.size;) {
    const end = Math.min(at + CHUNK, disk.size)
    const bytes = await disk.read(at, end - at)
    const answer = await put(`${at}-${end - 1}`, bytes, false).catch(async (error: unknown) => {
      if (!isFailure(error, 'CLOUD_AWAY')) throw error
      return await put('*', NOTHING, true) // how much of it has arrived?
    })
    const next = answer.status === 308 ? arrivedOf(answer) : disk.size
    stuck = next > at ? 0 : stuck + 1
    if (next > end || stuck > MOST_STUCK)
      throw new Failure(
        'CLOUD_FAILED',
        `Google lost its place in ${name}, at ${at} of ${disk.size}`,
      )
    at = next
    tell(at / disk.size)
  }
}

/** Bytes that the service has. */
function arrivedOf({ headers: { range = '' } }: RestAnswer): number {
  return Number(/^bytes=0-(\d+)$/.exec(range)?.[1] ?? -1) + 1
}

export async function removeObject(
  { rest, storage }: Google,
  { bucket, name }: ObjectPlace,
  signal: AbortSignal,
): Promise<void> {
  const path = `/storage/v1/b/${encodeURIComponent(bucket)}/o/${encodeURIComponent(name)}`
  await askToRemove(rest, { url: `${storage}${path}`, signal })
}
