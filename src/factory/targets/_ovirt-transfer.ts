/**
 * A disk's content, sent to oVirt's image daemon: data by ranges, holes by being told of.
 * Source: ovirt-imageio, "Random I/O": PUT with Content-Range, PATCH with `zero` and `flush`.
 */
import { Failure } from '../../base/failure.ts'
import { inLanes } from '../../base/in-lanes.ts'
import { GiB, MiB } from '../../base/units.ts'
import { askRest, type RestQuestion } from '../../clouds/ask-rest.ts'
import type { PushedDisk } from '../cloud-target.ts'
import type { PhaseScene } from '../os-builder.ts'
import { cutParts, holesOf, lengthOfParts, type Part } from './_disk-parts.ts'
import type { OvirtEngine } from './_ovirt-engine.ts'
import type { OvirtProviderOptions } from './_ovirt-schemas.ts'

const PART = 8 * MiB
/** The daemon writes zeros where the storage cannot; so much of that is told at a time. */
const HOLE = GiB

/** Sends the disk to a disk of the engine's; how many bytes of data were sent. */
export async function transferDisk(
  engine: OvirtEngine,
  diskId: string,
  disk: PushedDisk,
  options: OvirtProviderOptions,
  scene: PhaseScene,
): Promise<number> {
  const { signal } = scene
  const { id } = await engine.make('/imagetransfers', signal, {
    disk: { id: diskId },
    direction: 'upload',
    format: 'raw',
    timeout_policy: 'cancel',
    inactivity_timeout: 120,
  })
  const path = `/imagetransfers/${id}`
  try {
    const transfer = await engine.until(path, signal, {
      field: 'phase',
      wanted: 'transferring',
      passing: ['initializing', 'unknown'],
    })
    const url = transfer[options.via === 'proxy' ? 'proxy_url' : 'transfer_url']
    if (typeof url !== 'string')
      throw new Failure('CLOUD_FAILED', 'oVirt gave no address for a disk')
    const sent = await sendExtents({ engine, url }, disk, options.parallel ?? 4, scene)
    await engine.ask(`${path}/finalize`, signal, { method: 'POST', json: {} })
    await engine.until(`/disks/${diskId}`, signal, {
      field: 'status',
      wanted: 'ok',
      passing: ['locked'],
    })
    return sent
  } catch (error) {
    // A new signal: this has to be done when the old one has ended the work.
    const ending = AbortSignal.timeout(10_000)
    await engine.ask(`${path}/cancel`, ending, { method: 'POST', json: {} }).catch(() => {})
    throw error
  }
}

interface Daemon {
  readonly engine: OvirtEngine
  readonly url: string
}

async function sendExtents(
  daemon: Daemon,
  { source, map, size }: PushedDisk,
  lanes: number,
  { signal, tell }: PhaseScene,
): Promise<number> {
  const extents = [...map.extents()].map(({ offset, length }) => ({
    start: offset,
    end: offset + length,
  }))
  const total = lengthOfParts(extents)
  for (const hole of cutParts(holesOf(extents, size), HOLE)) await zero(daemon, hole, signal)
  let sent = 0
  await inLanes(cutParts(extents, PART), lanes, async ({ start, end }) => {
    await ask(daemon, {
      method: 'PUT',
      signal,
      url: `${daemon.url}?flush=n`,
      headers: {
        'content-type': 'application/octet-stream',
        'content-range': `bytes ${start}-${end - 1}/*`,
      },
      body: await source.read(start, end - start),
    })
    sent += end - start
    tell(sent / total)
  })
  await patch(daemon, { op: 'flush' }, signal)
  return sent
}

async function zero(daemon: Daemon, { start, end }: Part, signal: AbortSignal): Promise<void> {
  await patch(daemon, { op: 'zero', offset: start, size: end - start, flush: false }, signal)
}

async function patch(daemon: Daemon, json: unknown, signal: AbortSignal): Promise<void> {
  await ask(daemon, { method: 'PATCH', signal, url: daemon.url, json })
}

/** Parts may be sent twice: they are the same then. */
async function ask({ engine }: Daemon, question: RestQuestion): Promise<void> {
  await askRest(engine.daemon, { ...question, repeatable: true })
}
