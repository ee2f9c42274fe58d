import { messageOf } from '../../base/failure.ts'
import type { OpenStackServices } from '../../clouds/openstack/openstack.ts'
import { Belongings, clearBelongings } from '../nova/belongings.ts'
import { buildOnCloud } from '../nova/build.ts'
import { chooseInCloud, whyNoOrigin } from '../nova/choose.ts'
import { findCloudLeftovers } from '../nova/discover.ts'
import { type NovaOptions, novaOptions } from '../nova/nova-options.ts'
import { removeResult, resultOf } from '../nova/result.ts'
import type { Scene } from '../nova/scene.ts'
import { type OpenCloud, SharedClouds } from '../nova/shared-clouds.ts'
import { RESULT_MARK } from '../nova/snapshot.ts'
import { defineOsBuilder, type Job, type OsBuilder } from '../os-builder.ts'

/** The work is the cloud's: this host waits, and logs in. */
const CONCURRENCY = 16

/**
 * Builds on an OpenStack cloud: installs by a native installer or begins with a cloud image, carries the template out over
 * SSH, and makes an image of the instance. `openCloud` opens the cloud of a name in clouds.yaml, or the one of the environment.
 */
export function makeNovaBuilder({
  openCloud,
}: {
  readonly openCloud: OpenCloud
}): OsBuilder<NovaOptions> {
  const clouds = new SharedClouds(openCloud)
  return defineOsBuilder<NovaOptions>({
    name: 'nova',
    summary:
      'on an OpenStack cloud: installs or begins with a cloud image, works over SSH, takes a snapshot',
    options: novaOptions,
    concurrency: CONCURRENCY,
    refuses: (template, options) => {
      const { keypair, private_key } = options
      if ((keypair === undefined) !== (private_key === undefined))
        return 'keypair and private_key go together'
      return whyNoOrigin(template, options)
    },
    build: async (job) => {
      const { cloud, private_key, install_script, user_data } = job.options
      for (const secret of [private_key, install_script, user_data])
        if (secret !== undefined) job.addSecret(secret)
      return await clouds.use(
        cloud,
        job.context,
        async (services) => await buildOnCloud(await openScene(job, services)),
      )
    },
    clear: async (things, context) => {
      const left = new Set(things)
      for (const cloud of new Set(things.map(cloudOf)))
        await clouds.use(cloud ?? undefined, context, async (services) => {
          const here = things.filter((one) => cloudOf(one) === cloud)
          for (const one of here) left.delete(one)
          const still = await clearBelongings(here, {
            services,
            signal: context.signal,
            all: context.why === 'reap' || context.why === 'again',
            onGone: ({ kind, name }) =>
              context.buildLog.event(`removed from the cloud: ${kind} ${name}`),
            onLeft: ({ kind, name }, error) =>
              context.buildLog.event(`left in the cloud: ${kind} ${name}: ${messageOf(error)}`),
          })
          for (const one of still) left.add(one)
        })
      return [...left]
    },
    remove: async (image, context) => {
      const result = resultOf(image)
      if (result === undefined) return
      const { id, cloud } = result
      await clouds.use(cloud, context, async (services) => {
        const isGone = await removeResult(services, id, image.id)
        const what = isGone ? 'is removed' : `stays: it is not marked as that of ${image.id}`
        context.buildLog.event(`image ${id} in ${services.name} ${what}`)
      })
    },
    discover: async (context) =>
      await clouds.use(context.cloud, context, async (services) => {
        const things = await findCloudLeftovers(services, context.cloud ?? null)
        return things.map((thing) => ({ imageId: thing.imageId, thing: { ...thing } }))
      }),
  })
}

async function openScene(job: Job<NovaOptions>, services: OpenStackServices): Promise<Scene> {
  const { options, template, image, attempt, holdings, context } = job
  const choice = await job.phase(
    { name: 'looking at the cloud', from: 0, to: 3, timeoutMs: 10 * 60_000 },
    async () => {
      if (attempt > 1) await removeEarlierResult(services, image.id)
      return await chooseInCloud(services, template, options)
    },
  )
  const { flavor, network, origin } = choice
  job.log.event(
    `in ${services.name}: flavor ${flavor.name}, network ${network.name}, beginning with ${'image' in origin ? `image ${origin.image.name ?? origin.image.id}` : origin.url}`,
  )
  const belongings = new Belongings({
    services,
    holdings,
    cloud: options.cloud ?? null,
    imageId: image.id,
    attempt,
    keep: options.keep_on_failure === true,
    signal: context.signal,
  })
  return { job, options, services, belongings, choice }
}

/** Of an attempt that came to its end in the cloud, but not here. */
async function removeEarlierResult(
  { image: images }: OpenStackServices,
  imageId: string,
): Promise<void> {
  for (const { id } of await images.list({ properties: { [RESULT_MARK]: imageId } }))
    await images.delete(id)
}

function cloudOf(thing: unknown): string | null {
  const { cloud } = (typeof thing === 'object' && thing !== null ? thing : {}) as {
    cloud?: unknown
  }
  return typeof cloud === 'string' ? cloud : null
}
