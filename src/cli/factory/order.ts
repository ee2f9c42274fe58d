import type { Command } from 'commander'
import type { WireBuild, WireOrder } from '../../api/factory-wire.ts'
import { Failure } from '../../base/failure.ts'
import { formatBuild, formatFinal } from './_describe-build.ts'
import { followBuild } from './_follow.ts'
import { addParameterOptions, type ParameterFlags, readParameters } from './_parameters.ts'
import { readTemplate, withFileName } from './_read-template.ts'
import {
  type DefineFactoryCommand,
  type FactoryFlags,
  readText,
  type Scene,
  subcommand,
  withFactory,
} from './_scene.ts'

interface OrderFlags extends FactoryFlags, ParameterFlags {
  readonly builder?: string
  readonly follow?: boolean
  readonly template?: string
}

interface StageFlags extends OrderFlags {
  readonly id?: string
}

interface ProviderFlags extends StageFlags {
  readonly definition?: string
  readonly credentials?: string
}

/** `ingot factory base TEMPLATE`. */
export const defineBase: DefineFactoryCommand = (factory, openCli) => {
  addOrderOptions(subcommand(factory, 'base', 'build a base image by a TDL or a recipe'))
    .argument('<template>', 'the TDL (XML) or recipe (YAML)')
    .action(async (template: string, flags: OrderFlags) => {
      await withFactory(factory, openCli, flags, async (scene) => {
        const order: WireOrder = { type: 'base', ...(await readTemplate(template)) }
        await placeOrder(scene, order, { ...flags, template })
      })
    })
}

/** `ingot factory target TARGET`. */
export const defineTarget: DefineFactoryCommand = (factory, openCli) => {
  addStageOptions(subcommand(factory, 'target', 'make an image fit for a kind of cloud'))
    .argument('<target>', 'the kind of cloud; see `ingot factory plugins`')
    .action(async (target: string, flags: StageFlags) => {
      await withFactory(factory, openCli, flags, async (scene) => {
        const made = await madeOf(scene, flags, { type: 'base' })
        await placeOrder(scene, { type: 'target', target, ...made }, flags)
      })
    })
}

/** `ingot factory provider TARGET PROVIDER`. */
export const defineProvider: DefineFactoryCommand = (factory, openCli) => {
  addStageOptions(subcommand(factory, 'provider', 'push an image to a cloud'))
    .argument('<target>', 'the kind of cloud')
    .argument('<provider>', 'one of the configuration, or a name for --definition')
    .option('--definition <file>', 'where to push to: JSON, or XML of Image Factory')
    .option('--credentials <file>', 'of the account there: JSON, or XML of Image Factory')
    .action(async (target: string, provider: string, flags: ProviderFlags) => {
      const { definition, credentials } = flags
      await withFactory(factory, openCli, flags, async (scene) => {
        const order: WireOrder = {
          type: 'provider',
          target,
          provider,
          ...(definition !== undefined && { definition: await readText(definition) }),
          ...(credentials !== undefined && { credentials: await readText(credentials) }),
          ...(await madeOf(scene, flags, { type: 'target', target })),
        }
        await placeOrder(scene, order, flags)
      })
    })
}

function addOrderOptions(command: Command): Command {
  return addParameterOptions(command)
    .option('--builder <name>', 'the OS builder that makes the base image')
    .option('--follow', 'show what happens until it has ended (the default on a terminal)')
    .option('--no-follow', 'say its id, and leave the work to the server')
}

function addStageOptions(command: Command): Command {
  return addOrderOptions(command)
    .option('--id <image>', 'the factory image to make it of, by id or name')
    .option('--template <file>', 'or the template; what it is made of is built first')
}

/** A name means what this stage is made of, where there is such an image. Fails with USAGE unless one of the two was said. */
async function madeOf(
  { client }: Scene,
  { id, template }: StageFlags,
  preferred: Readonly<Record<string, string>>,
): Promise<Pick<WireOrder, 'parent_id' | 'template' | 'files'>> {
  if ((id === undefined) === (template === undefined))
    throw new Failure('USAGE', 'wanted --id IMAGE or --template FILE, one of them')
  if (template !== undefined) return await readTemplate(template)
  return { parent_id: (await client.find(id ?? '', preferred)).id }
}

async function placeOrder(scene: Scene, order: WireOrder, flags: OrderFlags): Promise<void> {
  const { cli, client, embedded } = scene
  const { builder, template } = flags
  const parameters = await readParameters(flags)
  const asked = { ...order, parameters, ...(builder !== undefined && { builder }) }
  const build = await client.order(asked).catch((error: unknown) => {
    throw template === undefined ? error : withFileName(error, template)
  })
  const follow = flags.follow ?? (embedded || cli.terminal)
  if (follow) return await reportEnd(scene, build, order.template !== undefined)
  if (embedded)
    cli.say('no server works on it here until one is started, or another command follows it')
  cli.print(cli.json ? JSON.stringify(build) : formatBuild(build))
}

/** Follows a build, and says how it ended; `whole`: with what was ordered with it. */
export async function reportEnd(scene: Scene, build: WireBuild, whole: boolean): Promise<void> {
  const { cli } = scene
  const ended = await followBuild(scene, build, { whole })
  cli.print(cli.json ? JSON.stringify(ended) : formatFinal(ended))
  cli.exit(ended.status === 'COMPLETE' ? 0 : 1)
}
