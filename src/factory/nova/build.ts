/**
 * A build on an OpenStack cloud: a system comes onto a disk (by its installer, or it is there), a server boots it, the
 * template is carried out in it over SSH, and its disk becomes an image. The host does next to nothing.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../base/failure.ts'
import { runTool } from '../../base/process.ts'
import type { CloudImage } from '../../clouds/openstack/image.ts'
import { customiseOverSsh, type Customised } from '../customise.ts'
import type { JsonObject } from '../factory-image.ts'
import { toIcicle } from '../icicle.ts'
import type { BuiltImage, Job } from '../os-builder.ts'
import type { Belonging } from './belongings.ts'
import { type BootDisk, bootServer, type Running } from './boot.ts'
import { defaultUserOf } from './choose.ts'
import { hostKeysOn } from './console-keys.ts'
import { installSystem, makeVolume } from './install.ts'
import type { NovaOptions } from './nova-options.ts'
import type { Scene } from './scene.ts'
import { dressImage, fetchImage, publishImage, snapshotDisk } from './snapshot.ts'
import { waitForStatus } from './watch-server.ts'

const START_MS = 30 * 60_000
const STOP_MS = 25 * 60_000
/** From the guest’s own shutdown to where the cloud sees it. */
const SHUT_DOWN_MS = 10 * 60_000
const SNAPSHOT_MS = 2 * 3_600_000

/** A server in which the template is to be carried out, and how one gets into it. */
interface Guest extends Running {
  readonly address: string
  readonly key: LoginKey
  /** Of the volume that it boots from. */
  readonly volumeId: string | undefined
}

interface LoginKey {
  /** What the cloud calls it. */
  readonly name: string
  readonly privateKeyFile: string
  readonly publicKey: string
}

/** Builds; what is made on the way is gone when it resolves. When it fails, `clear` removes what is noted. */
export async function buildOnCloud(scene: Scene): Promise<BuiltImage> {
  const { job, belongings } = scene
  const disk = await installSystem(scene)
  const guest = await startGuest(scene, disk)
  const customised = await customiseGuest(scene, guest).catch(async (error: unknown) => {
    await tellConsole(guest, job.log)
    throw error
  })
  const documents = documentsOf(job, customised)
  const { made, image } = await takeImage(scene, guest, customised)
  const body = await bringHome(scene, image)
  const isKept = scene.options.result !== 'store'
  await job.phase({ name: 'clearing up', from: 96, to: 99 }, async () => {
    await belongings.removeAll(isKept ? made.id : undefined)
  })
  // The last of all: from then on nobody clears it away.
  const properties = isKept ? await leaveImage(scene, made) : undefined
  return { ...(body && { body }), ...(properties && { properties }), documents }
}

async function startGuest(
  scene: Scene,
  disk: { readonly id: string } & Partial<Belonging>,
): Promise<Guest> {
  const { job, options } = scene
  return await job.phase(
    { name: 'starting the instance', from: 40, to: 45, timeoutMs: START_MS },
    async ({ signal }) => {
      const key = await loginKeyOf(scene)
      const boots = await bootDiskOf(scene, disk.id, signal)
      const order = {
        role: 'guest',
        disk: boots,
        keyName: key.name,
        userData: options.user_data,
        reachable: true,
      }
      const running = await bootServer(scene, order, job.log, signal)
      const { address = '' } = running
      await job.setProperties({ instance_id: running.id, instance_address: address })
      const volumeId = boots.from === 'volume' ? boots.volumeId : undefined
      return { ...running, address, key, volumeId }
    },
  )
}

async function bootDiskOf(scene: Scene, imageId: string, signal: AbortSignal): Promise<BootDisk> {
  if (scene.options.boot_from_volume !== true) return { from: 'image', image: { id: imageId } }
  const volume = await makeVolume(scene, 'guest', scene.choice.diskGiB, imageId, signal)
  return { from: 'volume', volumeId: volume.id }
}

/** The one that is named, or one that is made for this build and told to nobody. */
async function loginKeyOf({ services, belongings, job, options }: Scene): Promise<LoginKey> {
  const privateKeyFile = join(job.workDir, 'id')
  const { keypair, private_key: given } = options
  if (keypair !== undefined && given !== undefined) {
    await writeFile(privateKeyFile, `${given.trim()}\n`, { mode: 0o600 })
    const publicKey = (
      await runTool(['ssh-keygen', '-y', '-P', '', '-f', privateKeyFile])
    ).toString()
    return { name: keypair, privateKeyFile, publicKey: publicKey.trim() }
  }
  await runTool([
    'ssh-keygen',
    '-q',
    '-t',
    'ed25519',
    '-N',
    '',
    '-C',
    'ingot',
    '-f',
    privateKeyFile,
  ])
  const publicKey = (await readFile(`${privateKeyFile}.pub`, 'utf8')).trim()
  const { id: name } = await belongings.make('keypair', 'key', async (id) => {
    await services.compute.createKeypair(id, publicKey)
    return { id }
  })
  return { name, privateKeyFile, publicKey }
}

async function customiseGuest(scene: Scene, guest: Guest): Promise<Customised> {
  const { job, options } = scene
  const { address, key, console } = guest
  const user = options.default_user ?? defaultUserOf(job.template.os)
  const prefix = options.command_prefix ?? (user === 'root' ? 'none' : 'sudo')
  return await console.follow(
    job.context.signal,
    async () =>
      await customiseOverSsh(job, {
        from: 45,
        to: 75,
        host: address,
        user,
        port: options.ssh_port,
        become: prefix === 'sudo',
        privateKeyFile: key.privateKeyFile,
        publicKey: key.publicKey,
        values: new Map(Object.entries(options.arguments ?? {})),
        packages: options.generate_icicle,
        clean: options.clean,
        powerOff: true,
        readHostKeys: async () => {
          await console.read()
          return hostKeysOn(console.text)
        },
      }),
  )
}

/** What the guest printed last says most about why it could not be used. */
async function tellConsole(guest: Running, log: Job['log']): Promise<void> {
  await guest.console.read().catch((error: unknown) => {
    log.event(`its console cannot be read: ${messageOf(error)}`)
  })
}

async function takeImage(
  scene: Scene,
  guest: Guest,
  { facts }: Customised,
): Promise<{ made: Belonging; image: CloudImage }> {
  const { job, services } = scene
  await job.phase(
    { name: 'stopping the instance', from: 75, to: 78, timeoutMs: STOP_MS },
    async ({ signal }) => {
      // It was told to shut down; the cloud may be late to see it, or the guest may not listen.
      const patience = AbortSignal.any([signal, AbortSignal.timeout(SHUT_DOWN_MS)])
      await waitForStatus(services, guest.id, 'SHUTOFF', patience).catch(async (error: unknown) => {
        if (signal.aborted || !patience.aborted) throw error
        job.log.event('the instance does not shut down by itself: the cloud stops it')
        await services.compute.stopServer(guest.id)
        await waitForStatus(services, guest.id, 'SHUTOFF', signal)
      })
    },
  )
  return await job.phase(
    { name: 'making the image', from: 78, to: 85, timeoutMs: SNAPSHOT_MS },
    async ({ signal }) => {
      const made = await snapshotDisk(scene, guest, 'image', signal)
      return { made, image: await dressImage(scene, made.id, facts) }
    },
  )
}

/** Fetches the image, if it is wanted here. */
async function bringHome(scene: Scene, image: CloudImage): Promise<BuiltImage['body']> {
  const { job, options } = scene
  if (options.result === 'cloud') return undefined
  return await job.phase(
    { name: 'fetching the image', from: 85, to: 95, timeoutMs: SNAPSHOT_MS },
    async (phase) => await fetchImage(scene, image, phase),
  )
}

/** Leaves the image in the cloud; where it is. */
async function leaveImage(scene: Scene, made: Belonging): Promise<JsonObject> {
  const { job, options, services } = scene
  await publishImage(scene, made)
  job.log.event(`image ${made.id} stays in ${services.name}`)
  // The name under which Image Factory's Nova plugin keeps it.
  return { 'x-image-properties-glance_id': made.id, cloud: options.cloud ?? '' }
}

function documentsOf(
  { template }: Job<NovaOptions>,
  { packages, extraLines, facts, report }: Customised,
): NonNullable<BuiltImage['documents']> {
  const options = {
    family: facts.family,
    description: template.description,
    ...(extraLines && { extra: extraLines }),
  }
  return {
    ...(packages && { icicle: toIcicle(packages, options) }),
    report: `${JSON.stringify(report, undefined, 2)}\n`,
  }
}
