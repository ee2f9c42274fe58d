/** Waiting for servers, with an eye on their consoles. */
import { Failure, isFailure } from '../../base/failure.ts'
import { KiB } from '../../base/units.ts'
import type { ComputeService, Server } from '../../clouds/openstack/compute.ts'
import type { OpenStackServices } from '../../clouds/openstack/openstack.ts'
import { isNoRoom } from '../../clouds/openstack/no-room.ts'
import type { BuildLog } from '../build-log.ts'
import { pollUntil } from './_poll.ts'

const STATUS_MS = 3000
const CONSOLE_MS = 15_000
const CONSOLE_LINES = 500
/** What stands twice is known by so much of it. */
const OVERLAP = 200

/** What a server printed, into the build's log, each piece once. */
export class ServerConsole {
  readonly #compute: ComputeService
  readonly #id: string
  readonly #log: BuildLog
  #seen = ''
  #available = false

  constructor(compute: ComputeService, id: string, log: BuildLog) {
    this.#compute = compute
    this.#id = id
    this.#log = log
  }

  /** The cloud has given us something of it. */
  get isAvailable(): boolean {
    return this.#available
  }

  /** As it was read last. */
  get text(): string {
    return this.#seen
  }

  /** What is new. Fails as the cloud does. */
  async read(): Promise<string> {
    const now = await this.#compute.readConsole(this.#id, CONSOLE_LINES)
    if (now === undefined) return ''
    this.#available ||= now !== ''
    const piece = newPart(this.#seen, now)
    this.#seen = now
    if (piece !== '') this.#log.console(piece)
    return piece
  }

  /** Reads on and on while `work` goes on. That it cannot be read is no failure of the work. */
  async follow<Value>(signal: AbortSignal, work: () => Promise<Value>): Promise<Value> {
    const done = new AbortController()
    const both = AbortSignal.any([signal, done.signal])
    const reading = pollUntil(CONSOLE_MS, both, async () => {
      await this.read().catch(() => {})
      return undefined
    }).catch(() => {})
    try {
      return await work()
    } finally {
      done.abort()
      await reading
    }
  }
}

/** What `now` has at its end that `before` had not. Both are tails of the same text. */
export function newPart(before: string, now: string): string {
  if (now.startsWith(before)) return now.slice(before.length)
  const end = before.slice(-OVERLAP)
  const at = now.lastIndexOf(end)
  return at < 0 ? now : now.slice(at + end.length)
}

/** Bytes between two looks that say nothing of a guest. Source: Oz's watchdog. */
const NOISE = 4 * KiB

/**
 * A count of a server's network that grows only when there is more than noise: its card hears what others on the network tell to
 * everybody, also when it does nothing itself. It is given what the card has counted, look by look.
 */
export function leaveOutNoise(): (bytes: number) => number {
  let [heard, meant] = [0, 0]
  return (bytes) => {
    if (bytes - heard >= NOISE) meant += bytes - heard
    heard = bytes
    return meant
  }
}

/**
 * Waits until a server has this status. Fails with CLOUD_FULL or CLOUD_FAILED, in the cloud's words, when it goes into ERROR,
 * with CLOUD_NOT_FOUND when somebody removed it.
 */
export async function waitForStatus(
  { compute }: OpenStackServices,
  id: string,
  status: 'ACTIVE' | 'SHUTOFF',
  signal: AbortSignal,
): Promise<Server> {
  return await pollUntil(STATUS_MS, signal, async () => {
    const server = await compute.getServer(id)
    checkServer(server)
    return server.status === status && server.taskState === null ? server : undefined
  })
}

/** Fails if it is in ERROR, or is being deleted. */
export function checkServer({ status, fault, name }: Server): void {
  if (status === 'DELETED' || status === 'SOFT_DELETED')
    throw new Failure('CLOUD_NOT_FOUND', `instance ${name} was deleted by somebody else`)
  if (status !== 'ERROR') return
  const said = fault ?? 'no reason is given'
  throw new Failure(
    isNoRoom(said) ? 'CLOUD_FULL' : 'CLOUD_FAILED',
    `instance ${name} failed: ${said}`,
  )
}

/** Waits until nobody has a volume, and nothing is done with it. Fails with CLOUD_FAILED when it is broken. */
export async function waitForVolume(
  { volume: volumes }: OpenStackServices,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  await pollUntil(STATUS_MS, signal, async () => {
    const { status, name } = await volumes.get(id)
    if (status.startsWith('error'))
      throw new Failure('CLOUD_FAILED', `volume ${name} cannot be used: it is ${status}`)
    return status === 'available' ? true : undefined
  })
}

/** Waits until an image is active. Fails with CLOUD_FAILED when it never will be. */
export async function waitForImage(
  { image: images }: OpenStackServices,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  await pollUntil(STATUS_MS, signal, async () => {
    try {
      const { status } = await images.get(id)
      if (status === 'active') return true
      if (!['queued', 'saving', 'importing', 'uploading'].includes(status))
        throw new Failure('CLOUD_FAILED', `image ${id} became ${status} while it was made`)
      return undefined
    } catch (error) {
      if (!isFailure(error, 'CLOUD_NOT_FOUND')) throw error
      throw new Failure('CLOUD_FAILED', `image ${id} is gone: the cloud could not make it`, {
        cause: error,
        fix: 'Look for room in the image service, and at the log of the cloud’s compute host.',
      })
    }
  })
}
