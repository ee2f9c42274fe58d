/** A cloud that takes everything and keeps nothing, under all the names of Image Factory's plugin MockCloud. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Static } from 'typebox'
import { Failure } from '../../base/failure.ts'
import { Type } from '../../schema/type.ts'
import { defineCloudTarget, type Pushed, type PushJob } from '../cloud-target.ts'

const options = Type.Object({
  mock_push_wait: Type.Optional(
    Type.Number({ minimum: 0, maximum: 86_400, description: 'seconds that a push takes' }),
  ),
  mock_push_fail: Type.Optional(Type.String({ description: 'what a push fails with' })),
  mock_push_hold: Type.Optional(
    Type.Boolean({ description: 'the push makes a thing that it does not remove itself' }),
  ),
})
type Options = Static<typeof options>

/** Anything may be told to it; nothing is asked for. */
const anything = Type.Record(Type.String(), Type.Unsafe<unknown>({}))
type Anything = Static<typeof anything>

export const mockTarget = defineCloudTarget<Options, Anything, Anything>({
  name: 'mock',
  aliases: ['MockCloud', 'mockcloud', 'mocksphere', 'rhevmock', 'ecmock', 'mockspace', 'mockstack'],
  summary: 'a cloud that is none, for trials',
  options,
  provider: { options: anything, credentials: anything },
  concurrency: 32,
  format: () => 'raw',
  push,
  remove: async (image, { name }, { buildLog }) =>
    buildLog.event(`removed ${image.identifierOnProvider} from mock provider ${name}`),
  clear: async (things, { name }, { buildLog }) => {
    buildLog.event(`removed ${things.length} thing(s) from mock provider ${name}`)
    return []
  },
})

async function push(job: PushJob<Options, Anything, Anything>): Promise<Pushed> {
  const { options, provider, context, holdings } = job
  await job.phase(
    { name: 'pushing to a mock cloud', from: 0, to: 90 },
    async ({ signal, tell }) => {
      if (options.mock_push_hold) await holdings.add({ provider: provider.name })
      tell(0.5)
      if (options.mock_push_wait) await sleep(options.mock_push_wait * 1000, undefined, { signal })
    },
  )
  if (options.mock_push_fail !== undefined)
    throw new Failure('CLOUD_FAILED', options.mock_push_fail)
  return { identifier: context.newId(), account: 'mock_user' }
}
