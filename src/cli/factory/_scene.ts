import { isUtf8 } from 'node:buffer'
import { createReadStream } from 'node:fs'
import type { Command } from 'commander'
import type { FactoryClient } from '../../api/factory-client.ts'
import type { ClientOptions } from '../../api/client.ts'
import { asFileFailure, Failure } from '../../base/failure.ts'
import { formatSize, MiB } from '../../base/units.ts'
import type { FactoryUse } from '../../app/open-service.ts'
import { openEmbedded, type ServiceAccess } from '../_image-service.ts'
import type { Cli, OpenCli } from '../cli.ts'

/** Which factory is meant. */
export interface FactoryFlags {
  readonly dataDir?: string
  readonly endpoint?: string
  readonly osCloud?: string
  readonly tokenFile?: string
}

/** What a subcommand works with. */
export interface Scene {
  readonly cli: Cli
  readonly client: FactoryClient
  /** The same, but Ctrl-C does not end what it asks for: to put in order what was begun. */
  readonly lasting: FactoryClient
  /** The work is done in this process, and only as long as it lives. */
  readonly embedded: boolean
}

/** Adds one subcommand of `ingot factory`. */
export type DefineFactoryCommand = (factory: Command, openCli: OpenCli) => void

/** A subcommand with what all of them have: the flags that name the factory. */
export function subcommand(factory: Command, name: string, summary: string): Command {
  return addFactoryOptions(factory.command(name).description(summary).exitOverride())
}

function addFactoryOptions(command: Command): Command {
  return command
    .option('--data-dir <directory>', 'the embedded service’s directory (see `ingot config show`)')
    .option('--endpoint <url>', 'an Ingot elsewhere, instead of the embedded service')
    .option('--token-file <file>', 'what it wants for a token')
    .option('--os-cloud <name>', 'the Ingot that is the image service of a cloud of clouds.yaml')
}

/** Opens the factory that the flags name, for as long as `work` takes. */
export async function withFactory(
  factory: Command,
  openCli: OpenCli,
  flags: FactoryFlags,
  work: (scene: Scene) => Promise<void>,
): Promise<void> {
  await withFactoryOf(openCli(factory, { data_dir: flags.dataDir }), flags, work)
}

/** The same, to look only: what is to be built is not begun by somebody who is gone in a moment. */
export async function withWatchedFactory(
  factory: Command,
  openCli: OpenCli,
  flags: FactoryFlags,
  work: (scene: Scene) => Promise<void>,
): Promise<void> {
  await withFactoryOf(openCli(factory, { data_dir: flags.dataDir }), flags, work, 'watch')
}

export async function withFactoryOf(
  cli: Cli,
  flags: FactoryFlags,
  work: (scene: Scene) => Promise<void>,
  use: FactoryUse = 'work',
): Promise<void> {
  const { openFactoryClient } = await import('../../api/factory-client.ts')
  const embedded = flags.endpoint === undefined && flags.osCloud === undefined
  await using access = embedded ? await openEmbedded(cli, use) : await openElsewhere(flags, cli)
  await using client = openFactoryClient(access, cli.context)
  const untold = { ...cli.context, signal: new AbortController().signal }
  await using lasting = openFactoryClient(access, untold)
  await work({ cli, client, lasting, embedded })
}

/** Variables of OpenStack are not looked at: builders and targets that build and push there do that. */
async function openElsewhere(
  { endpoint, osCloud, tokenFile }: FactoryFlags,
  cli: Cli,
): Promise<ServiceAccess> {
  if (osCloud !== undefined) {
    const { openCloudAccess } = await import('../_cloud-client.ts')
    return await openCloudAccess(osCloud, {}, cli)
  }
  if (endpoint === undefined) throw new Failure('USAGE', 'no endpoint')
  const token = tokenFile === undefined ? undefined : await readToken(tokenFile)
  const options: ClientOptions = { endpoint, token: async () => token }
  return { ...options, [Symbol.asyncDispose]: async () => {} }
}

async function readToken(file: string): Promise<string> {
  return (await readText(file)).trim()
}

/** No template, definition or answer file is longer; a disk named by mistake is. */
const MAX_TEXT = 16 * MiB

/** Fails with FILE_NOT_FOUND, FILE_UNREADABLE, and USAGE for what is no text, or a very long one. */
export async function readText(path: string): Promise<string> {
  const chunks = await Array.fromAsync<Buffer>(createReadStream(path, { end: MAX_TEXT })).catch(
    (error: unknown) => {
      throw asFileFailure(error, path)
    },
  )
  const bytes = Buffer.concat(chunks)
  if (!isUtf8(bytes.subarray(0, MAX_TEXT)) || bytes.includes(0))
    throw new Failure('USAGE', `${path}: wanted a text in UTF-8, found other bytes`)
  if (bytes.length > MAX_TEXT)
    throw new Failure('USAGE', `${path}: wanted a text of at most ${formatSize(MAX_TEXT)}`)
  return bytes.toString('utf8')
}
