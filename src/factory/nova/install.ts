/** An installer in a cloud: started, watched until it powers off, and its disk made the image that is booted next. */
import { createHash } from 'node:crypto'
import { Failure } from '../../base/failure.ts'
import { fetchStream } from '../../bytes/fetch-stream.ts'
import { readChecksum } from '../installer/media-cache.ts'
import { Watchdog, type WatchLimits } from '../installer/watchdog.ts'
import type { PhaseScene } from '../os-builder.ts'
import { pollUntil } from './_poll.ts'
import type { Belonging } from './belongings.ts'
import { bootServer, type BootDisk, type Running } from './boot.ts'
import type { Origin } from './choose.ts'
import type { Scene } from './scene.ts'
import { snapshotDisk } from './snapshot.ts'
import { checkServer, leaveOutNoise, waitForImage, waitForVolume } from './watch-server.ts'

const LOOK_MS = 5000
const INSTALL_MS = 3 * 3_600_000
const DEFAULT_INACTIVITY_S = 1800
/** An installer's dialog is seen when the console is read next, and may yet go away. */
const PROMPT_MS = 90_000

/** The disk that the template is carried out on: an image of the cloud with a system in it. */
export async function installSystem(scene: Scene): Promise<{ id: string } & Partial<Belonging>> {
  const { job, choice, options } = scene
  const { origin } = choice
  if (origin.kind === 'image') return { id: origin.image.id }
  const { disk, volumeId, around } = await job.phase(
    { name: 'bringing the installer', from: 3, to: 8, timeoutMs: INSTALL_MS },
    async ({ signal }) => await bringInstaller(scene, signal),
  )
  const installer = await job.phase(
    { name: 'starting the installer', from: 8, to: 10, timeoutMs: 30 * 60_000 },
    async ({ signal }) => {
      const order = { role: 'install', disk, userData: options.install_script, reachable: false }
      return await bootServer(scene, order, job.log, signal)
    },
  )
  await job.phase(
    { name: 'waiting for the installer', from: 10, to: 35, timeoutMs: INSTALL_MS },
    async (phase) => await watchInstaller(scene, installer, phase),
  )
  return await job.phase(
    { name: 'keeping what was installed', from: 35, to: 40, timeoutMs: 3_600_000 },
    async ({ signal }) => {
      const installed = await snapshotDisk(scene, { ...installer, volumeId }, 'installed', signal)
      for (const one of around) await one.remove()
      return installed
    },
  )
}

interface Brought {
  readonly disk: BootDisk
  /** What is installed onto; undefined: the server's own disk. */
  readonly volumeId: string | undefined
  readonly around: readonly Belonging[]
}

async function bringInstaller(scene: Scene, signal: AbortSignal): Promise<Brought> {
  const { origin, diskGiB } = scene.choice
  if (origin.kind === 'installer')
    return { disk: { from: 'image', image: origin.image }, volumeId: undefined, around: [] }
  if (origin.kind === 'image') throw new Error('there is nothing to install')
  const fetched = origin.kind === 'iso-url' ? await bringIso(scene, origin, signal) : undefined
  const isoId = origin.kind === 'iso' ? origin.image.id : (fetched?.id ?? '')
  const { size } = await scene.services.image.get(isoId)
  const isoGiB = Math.max(1, Math.ceil((size ?? 0) / 2 ** 30))
  const target = await makeVolume(scene, 'target', diskGiB, undefined, signal)
  const iso = await makeVolume(scene, 'iso', isoGiB, isoId, signal)
  return {
    disk: { from: 'volume', volumeId: target.id, isoVolumeId: iso.id },
    volumeId: target.id,
    around: [iso, target, ...(fetched ? [fetched] : [])],
  }
}

/**
 * An ISO from the web, as an image of the cloud: fetched by the cloud where it can; else, and where the template has a checksum of
 * it, through us. Fails with DOWNLOAD_FAILED, DIGEST_MISMATCH.
 */
async function bringIso(
  scene: Scene,
  { url, checksum }: Extract<Origin, { readonly kind: 'iso-url' }>,
  signal: AbortSignal,
): Promise<Belonging> {
  const { services, belongings, job } = scene
  const { image: images } = services
  const context = { ...job.context, signal }
  const wanted = await readChecksum({ url, checksum }, { reach: job.reach, context })
  const made = await belongings.make(
    'image',
    'iso',
    async (name) =>
      await images.create({ name, diskFormat: 'iso', properties: belongings.metadata }),
  )
  const methods = checksum === undefined ? await images.importMethods() : []
  if (methods.includes('web-download')) {
    await images.import(made.id, { method: 'web-download', uri: url })
    await waitForImage(services, made.id, signal)
  } else {
    const content = fetchStream(url, { rules: job.reach.web }, context)
    const stream = checksum === undefined ? content : checked(content, checksum.algorithm, wanted)
    await images.upload(made.id, { stream, size: undefined })
  }
  return made
}

/** The content, which breaks off at its end if it is not what was wanted: then no image is made of it. */
async function* checked(
  content: AsyncIterable<Uint8Array>,
  algorithm: string,
  wanted: string | undefined,
): AsyncGenerator<Uint8Array> {
  const hash = createHash(algorithm)
  for await (const piece of content) {
    hash.update(piece)
    yield piece
  }
  const found = hash.digest('hex')
  if (found === wanted) return
  throw new Failure('DIGEST_MISMATCH', `the ISO: its ${algorithm} is ${found}, wanted ${wanted}`)
}

export async function makeVolume(
  { services, belongings, options }: Scene,
  role: string,
  sizeGiB: number,
  imageId: string | undefined,
  signal: AbortSignal,
): Promise<Belonging> {
  const made = await belongings.make(
    'volume',
    role,
    async (name) =>
      await services.volume.create({
        name,
        sizeGiB,
        metadata: belongings.metadata,
        ...(imageId !== undefined && { imageId }),
        ...(options.availability_zone !== undefined && {
          availabilityZone: options.availability_zone,
        }),
      }),
  )
  await waitForVolume(services, made.id, signal)
  return made
}

/** Ends when the server is off. Fails with INSTALL_FAILED as soon as it can be known that it never will be. */
async function watchInstaller(
  { services: { compute }, job, options }: Scene,
  { id, console }: Running,
  { signal, tell }: PhaseScene,
): Promise<void> {
  const { now } = job.context
  const startedAt = now().getTime()
  const watchdog = new Watchdog(limitsOf(options.inactivity ?? DEFAULT_INACTIVITY_S))
  let seesActivity = false
  const meaningful = leaveOutNoise()
  await pollUntil(LOOK_MS, signal, async () => {
    const server = await compute.getServer(id)
    checkServer(server)
    const atMs = now().getTime() - startedAt
    const printed = await console.read()
    if (printed !== '') watchdog.print(Buffer.from(printed), atMs)
    if (server.status === 'SHUTOFF') return true
    const activity = await compute.readActivity(id)
    seesActivity ||= activity !== undefined
    const { diskBytes: written = 0, networkBytes = 0 } = activity ?? {}
    const packets = meaningful(networkBytes)
    watchdog.sample({ written, read: 0, packets, cpuMs: 0 }, atMs)
    const { fraction, step } = watchdog.progress
    tell(fraction, step)
    const stall = watchdog.check(atMs)
    // Of a cloud that shows neither console nor activity nobody knows what goes on.
    const isBlind = !seesActivity && !console.isAvailable
    if (stall === undefined || (isBlind && stall.reason !== 'install')) return undefined
    await job.keepDocument('timeline', `${JSON.stringify(watchdog.report(), undefined, 2)}\n`)
    throw new Failure('INSTALL_FAILED', `${stall.told}: ${stall.cause}`, {
      details: { reason: stall.reason },
    })
  })
}

function limitsOf(inactivitySeconds: number): WatchLimits {
  const inactivityMs = inactivitySeconds * 1000
  return {
    bootMs: inactivityMs,
    installMs: INSTALL_MS,
    inactivityMs,
    promptMs: Math.min(PROMPT_MS, inactivityMs),
    shutdownMs: inactivityMs,
  }
}
