import type { FactoryClient } from '../../api/factory-client.ts'
import { hasEnded, type WireBuild } from '../../api/factory-wire.ts'
import { Failure } from '../../base/failure.ts'
import { formatEntry } from './_describe-build.ts'
import type { Scene } from './_scene.ts'

/** After this entry comes none. */
const NO_LOG = 2 ** 31 - 1

/** What is to happen when we are told to stop. */
export interface FollowOptions {
  /** The images before it were ordered with it: they go when it goes. */
  readonly whole: boolean
}

/**
 * Shows what happens to a build, and to what it waits for, until it has ended; gives it as it is then. Told to stop, a
 * build that is done in this process is cancelled, and waited for until all it made is removed; one elsewhere goes on.
 * Fails with INTERRUPTED.
 */
export async function followBuild(
  scene: Scene,
  asked: WireBuild,
  options: FollowOptions,
): Promise<WireBuild> {
  const { cli, client, embedded } = scene
  const { signal } = cli.context
  try {
    for (const stage of await chainOf(client, asked)) await showStage(scene, stage)
    if (!signal.aborted) return await client.show(asked.id)
  } catch (error) {
    if (!signal.aborted) throw error
  }
  if (!embedded)
    throw interrupted(`Build ${asked.id} goes on: \`ingot factory logs ${asked.id} --follow\`.`)
  await cancelBuild(scene, asked, options)
  throw interrupted(`Build ${asked.id} was cancelled, and what it made is removed.`)
}

/** With what became of the build. */
function interrupted(outcome: string): Failure {
  return new Failure('INTERRUPTED', 'interrupted', { fix: outcome })
}

/** The build, after those that it waits for, first of all the first. */
async function chainOf(client: FactoryClient, asked: WireBuild): Promise<readonly WireBuild[]> {
  const chain = [asked]
  for (let { parent_id: id } = asked; id !== null;) {
    const parent = await client.show(id)
    if (hasEnded(parent)) break
    chain.unshift(parent)
    id = parent.parent_id
  }
  return chain
}

async function showStage({ cli, client }: Scene, { id, type }: WireBuild): Promise<void> {
  const { progress, signal } = cli.context
  let shown = ''
  for await (const event of client.follow(id)) {
    if (signal.aborted) return
    if (event.kind === 'log')
      for (const line of formatEntry(event.entry).split('\n').filter(Boolean))
        progress({ kind: 'output', line })
    else {
      const { activity, percent, status } = event.build
      const name = `${type} image: ${activity === '' ? status.toLowerCase() : activity}`
      if (name !== shown) progress({ kind: 'phase', name, detail: `${Math.floor(percent)} %` })
      shown = name
    }
  }
}

/** Cancels what is not done yet, and waits until it has ended. */
async function cancelBuild(
  { lasting, cli }: Scene,
  asked: WireBuild,
  { whole }: FollowOptions,
): Promise<void> {
  cli.say('cancelling the build, and removing what it made')
  const chain = whole ? await chainOf(lasting, asked) : [asked]
  for (const { id } of chain) {
    const build = await lasting.show(id)
    if (hasEnded(build)) continue
    await lasting.cancel(id) // and with it what waits for it
    break
  }
  for (const { id } of chain) await Array.fromAsync(lasting.follow(id, NO_LOG))
}
