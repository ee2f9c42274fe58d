/** Images made of servers and volumes, and what becomes of the last one. */
import { createHash, getHashes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { asFileFailure, Failure, isFailure } from '../../base/failure.ts'
import type { CloudImage } from '../../clouds/openstack/image.ts'
import type { Facts } from '../../remotes/facts.ts'
import type { PhaseScene } from '../os-builder.ts'
import type { Belonging } from './belongings.ts'
import type { NovaOptions } from './nova-options.ts'
import type { Scene } from './scene.ts'
import { MARK } from './thing.ts'
import { waitForImage, waitForVolume } from './watch-server.ts'

/** What has the disk: a server with one of its own, or a volume that a server has. */
export interface DiskOwner {
  readonly id: string
  readonly volumeId: string | undefined
  /** Removes the server, and what was around it. */
  remove(): Promise<void>
}

/**
 * An image of the disk; it is active, and the server is gone. Of a volume it is made when no server has it any more: others
 * are not read, unless the cloud's owner has allowed it (Cinder's `enable_force_upload`).
 */
export async function snapshotDisk(
  scene: Scene,
  { id, volumeId, remove }: DiskOwner,
  role: string,
  signal: AbortSignal,
): Promise<Belonging> {
  if (volumeId !== undefined) {
    await remove()
    return await snapshotVolume(scene, volumeId, role, signal)
  }
  const made = await snapshotServer(scene, id, role, signal)
  await remove()
  return made
}

async function snapshotServer(
  { services, belongings }: Scene,
  serverId: string,
  role: string,
  signal: AbortSignal,
): Promise<Belonging> {
  const made = await belongings.make('image', role, async (name) => ({
    id: await services.compute.createImage(serverId, name, belongings.metadata),
  }))
  await waitForImage(services, made.id, signal)
  return made
}

async function snapshotVolume(
  { services, belongings }: Scene,
  volumeId: string,
  role: string,
  signal: AbortSignal,
): Promise<Belonging> {
  await waitForVolume(services, volumeId, signal)
  const made = await belongings.make('image', role, async (name) => ({
    id: await services.volume.uploadToImage(volumeId, name, 'qcow2'),
  }))
  await services.image.change(made.id, belongings.metadata)
  await waitForImage(services, made.id, signal)
  return made
}

/** What an instance leaves in the properties of its image. Source: Nova's snapshots; openstacksdk's own notes. */
const LEFT_BY_INSTANCE =
  /^(base_image_ref|boot_roles|image_location|image_state|image_type|instance_uuid|owner_id|owner_project_name|owner_user_name|user_id|clean_attempts|signature_verified|owner_specified\..*)$/

/** Gives the image its name and properties, and takes out what an instance left. */
export async function dressImage(
  { services: { image: images }, job, options, choice: { origin } }: Scene,
  id: string,
  facts: Facts,
): Promise<CloudImage> {
  const { properties } = await images.get(id)
  const before = 'image' in origin && origin.kind !== 'iso' ? origin.image.properties : {}
  // Compute hosts write down what they chose for want of a wish; the next host may choose better.
  const left = Object.keys(properties).filter(
    (name) =>
      LEFT_BY_INSTANCE.test(name) || (name.startsWith('hw_') && !Object.hasOwn(before, name)),
  )
  const visibility = visibilityOf(options)
  return await images.change(id, {
    ...Object.fromEntries(left.map((name) => [name, null])),
    os_distro: facts.distro,
    ...(facts.version !== '' && { os_version: facts.version }),
    ...options.image_properties,
    name: options.image_name ?? job.template.name,
    ...(visibility !== undefined && { visibility }),
  })
}

/** From now on it is no thing of the build any more, but its result. */
export const RESULT_MARK = 'ingot_image'

/** Lets the image stay. Nobody clears it away once this is done. */
export async function publishImage(
  { services: { image: images }, job }: Scene,
  made: Belonging,
): Promise<void> {
  await images.change(made.id, { [MARK]: null, [RESULT_MARK]: job.image.id })
  await made.release()
}

function visibilityOf({ visibility, public: isPublic }: NovaOptions): string | undefined {
  return visibility ?? (isPublic === undefined ? undefined : isPublic ? 'public' : 'private')
}

const FETCH_TRIES = 3

/** The image's data, in a file of the job's directory. Fails with CLOUD_FAILED (another format, another digest), NO_SPACE. */
export async function fetchImage(
  scene: Scene,
  image: CloudImage,
  phase: PhaseScene,
): Promise<{ readonly path: string; readonly format: 'raw' | 'qcow2' }> {
  const { id, diskFormat } = image
  if (diskFormat !== 'raw' && diskFormat !== 'qcow2')
    throw new Failure(
      'CLOUD_FAILED',
      `the cloud makes images of format ${diskFormat}, which cannot be taken into the store`,
      {
        fix: 'Use the parameter result: cloud.',
      },
    )
  const path = join(scene.job.workDir, `disk.${diskFormat}`)
  for (let tries = 1; ; tries++)
    try {
      await fetchOnce(scene, image, path, phase)
      return { path, format: diskFormat }
    } catch (error) {
      if (!isFailure(error, 'CLOUD_AWAY') || tries >= FETCH_TRIES) throw error
      scene.job.log.event(`fetching image ${id} again: ${error.message}`)
    }
}

async function fetchOnce(
  { services: { image: images } }: Scene,
  { id, size, digest }: CloudImage,
  path: string,
  { signal, tell }: PhaseScene,
): Promise<void> {
  const { stream, length } = await images.download(id)
  const total = length ?? size ?? 0
  const isKnown = digest !== null && getHashes().includes(digest.algorithm)
  const hash = isKnown ? createHash(digest.algorithm) : undefined
  let done = 0
  const counting = new Transform({
    transform: (piece: Buffer, _encoding, next) => {
      done += piece.length
      hash?.update(piece)
      if (total > 0) tell(done / total)
      next(null, piece)
    },
  })
  await pipeline(Readable.from(stream), counting, createWriteStream(path), { signal }).catch(
    (error: unknown) => {
      throw asFileFailure(error, path)
    },
  )
  if (hash !== undefined && hash.digest('hex') !== digest?.value)
    throw new Failure('DIGEST_MISMATCH', `image ${id} is not what its digest says`)
}
