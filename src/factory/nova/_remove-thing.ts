import { Failure, isFailure } from '../../base/failure.ts'
import type { OpenStackServices } from '../../clouds/openstack/openstack.ts'
import { pollUntil } from './_poll.ts'
import { MARK, markOf, type Thing } from './thing.ts'

const GONE_LIMIT_MS = 10 * 60_000
const MOST_TRIES = 20

/** Removes it, and waits until it is gone. That it is gone already, or was never made, is fine. */
export async function removeThing(
  services: OpenStackServices,
  thing: Thing,
  signal: AbortSignal,
): Promise<void> {
  const ids = thing.id === undefined ? await findIds(services, thing) : [thing.id]
  const limit = AbortSignal.any([signal, AbortSignal.timeout(GONE_LIMIT_MS)])
  for (const id of ids)
    try {
      await removals[thing.kind](services, id, limit)
    } catch (error) {
      if (!isFailure(error, 'INTERRUPTED') || signal.aborted) throw error
      throw new Failure('CLOUD_FAILED', `${thing.kind} ${thing.name} does not go away`)
    }
}

type Remove = (services: OpenStackServices, id: string, signal: AbortSignal) => Promise<void>

const removals: Readonly<Record<Thing['kind'], Remove>> = {
  server: async ({ compute }, id, signal) => {
    if (!(await compute.deleteServer(id))) return
    await pollUntil(2000, signal, async () => {
      try {
        return (await compute.getServer(id)).status === 'DELETED' ? true : undefined
      } catch (error) {
        if (isFailure(error, 'CLOUD_NOT_FOUND')) return true
        throw error
      }
    })
  },
  'floating-ip': async ({ network }, id) => void (await network.deleteFloatingIp(id)),
  port: async ({ network }, id, signal) =>
    await whenFree(signal, async () => void (await network.deletePort(id))),
  'security-group': async ({ network }, id, signal) =>
    await whenFree(signal, async () => void (await network.deleteSecurityGroup(id))),
  keypair: async ({ compute }, id) => void (await compute.deleteKeypair(id)),
  volume: async ({ volume }, id, signal) =>
    await whenFree(signal, async () => void (await volume.delete(id))),
  image: async ({ image }, id, signal) =>
    await whenFree(signal, async () => void (await image.delete(id))),
}

/** What hangs on a thing may be let go of a little later than its owner was. */
async function whenFree(signal: AbortSignal, remove: () => Promise<void>): Promise<void> {
  let tries = 0
  await pollUntil(3000, signal, async () => {
    try {
      await remove()
      return true
    } catch (error) {
      const isBusy = isFailure(error) && [400, 409].includes(Number(error.details['status']))
      if (!isBusy || ++tries > MOST_TRIES) throw error
      return undefined
    }
  })
}

/** Of a thing whose making was noted, and nobody knows whether it came to it. */
async function findIds(services: OpenStackServices, thing: Thing): Promise<readonly string[]> {
  const { name, imageId, kind } = thing
  const { compute, network, volume, image } = services
  const named = (all: readonly { id: string; name: string | null }[]) =>
    all.filter((one) => one.name === name).map(({ id }) => id)
  const mark = markOf(imageId)
  if (kind === 'server') return named(await compute.listServers(name))
  if (kind === 'keypair') return [name]
  if (kind === 'port') return named(await network.listPorts(mark))
  if (kind === 'floating-ip') return (await network.listFloatingIps(mark)).map(({ id }) => id)
  if (kind === 'security-group') return named(await network.listSecurityGroups())
  if (kind === 'volume') return named(await volume.list(name))
  // One that a volume was read into has its name before it has its mark.
  const marked = await image.list({ properties: { [MARK]: imageId } })
  return [...new Set([...marked.map(({ id }) => id), ...named(await image.list({ name }))])]
}
