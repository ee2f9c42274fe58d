import type { FactoryClient } from '../../api/factory-client.ts'
import type { WireBuild } from '../../api/factory-wire.ts'
import { Failure, isFailure } from '../../base/failure.ts'
import { formatBuild } from './_describe-build.ts'
import { reportEnd } from './order.ts'
import {
  type DefineFactoryCommand,
  type FactoryFlags,
  readText,
  subcommand,
  withFactory,
} from './_scene.ts'

interface SecretFlags extends FactoryFlags {
  readonly definition?: string
  readonly credentials?: string
}

interface RetryFlags extends SecretFlags {
  readonly follow?: boolean
}

interface DeleteFlags extends SecretFlags {
  readonly keep?: boolean
}

/** `ingot factory cancel IMAGE`. */
export const defineCancel: DefineFactoryCommand = (factory, openCli) => {
  subcommand(factory, 'cancel', 'stop a build, and what waits for it')
    .argument('<image>', 'its id or name')
    .action(async (name: string, flags: FactoryFlags) => {
      await withFactory(factory, openCli, flags, async ({ client, cli }) => {
        const build = await client.cancel((await client.find(name)).id)
        cli.print(cli.json ? JSON.stringify(build) : formatBuild(build))
      })
    })
}

/** `ingot factory retry IMAGE`. */
export const defineRetry: DefineFactoryCommand = (factory, openCli) => {
  subcommand(factory, 'retry', 'begin a build that failed again')
    .argument('<image>', 'its id or name')
    .option('--credentials <file>', 'of the account at the provider, as they came with the order')
    .option('--follow', 'show what happens until it has ended (the default on a terminal)')
    .option('--no-follow', 'say its id, and leave the work to the server')
    .action(async (name: string, flags: RetryFlags) => {
      await withFactory(factory, openCli, flags, async (scene) => {
        const { client, cli, embedded } = scene
        const build = await client.retry((await client.find(name)).id, await readSecrets(flags))
        if (flags.follow ?? (embedded || cli.terminal)) return await reportEnd(scene, build, true)
        cli.print(cli.json ? JSON.stringify(build) : formatBuild(build))
      })
    })
}

/** `ingot factory delete IMAGE…`. */
export const defineDelete: DefineFactoryCommand = (factory, openCli) => {
  subcommand(factory, 'delete', 'delete factory images, and what they are in clouds')
    .argument('<image...>', 'ids or names')
    .option('--definition <file>', 'where they were pushed to, as it came with the order')
    .option('--credentials <file>', 'of the account there')
    .option('--keep', 'leave what is in clouds there; only what is here is deleted')
    .action(async (names: string[], flags: DeleteFlags) => {
      await withFactory(factory, openCli, flags, async ({ client, cli }) => {
        const how = { ...(await readSecrets(flags)), keep: flags.keep === true }
        const found: WireBuild[] = []
        for (const name of names) found.push(await client.find(name)) // all, before the first is gone
        for (const { id } of found) await client.delete(id, how)
        for (const { id } of found) await waitUntilGone(client, id)
        if (cli.json) cli.print(JSON.stringify(found.map(({ id }) => id)))
        else cli.say(`deleted ${found.map((one) => one.name ?? one.id).join(', ')}`)
      })
    })
}

/** Fails with CLOUD_FAILED when what was pushed could not be removed. */
async function waitUntilGone(client: FactoryClient, id: string): Promise<void> {
  try {
    let last: WireBuild | undefined
    for await (const event of client.follow(id)) if (event.kind === 'build') last = event.build
    if (last?.status === 'DELETEFAILED')
      throw new Failure('CLOUD_FAILED', `${id} could not be removed: ${last.error ?? ''}`)
  } catch (error) {
    if (!isFailure(error, 'BUILD_NOT_FOUND')) throw error
  }
}

async function readSecrets({ definition, credentials }: SecretFlags) {
  return {
    ...(definition !== undefined && { definition: await readText(definition) }),
    ...(credentials !== undefined && { credentials: await readText(credentials) }),
  }
}
