import type { FactoryUse } from '../app/open-service.ts'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { ClientOptions, ImageClient } from '../api/client.ts'
import { type Config, openstackFromEnvironment } from '../app/config.ts'
import type { Cli } from './cli.ts'
import { readFactoryHost } from './_factory-host.ts'

/** Which service is meant. */
export interface ServiceFlags {
  osCloud?: string
  endpoint?: string
  local?: boolean
  dataDir?: string
}

/** Adds the flags that say which image service is meant. */
export function addServiceOptions(command: Command): Command {
  return command
    .option('--data-dir <directory>', 'the embedded service’s directory (see `ingot config show`)')
    .option(
      '--os-cloud <name>',
      'an OpenStack cloud of clouds.yaml, instead of the embedded service',
    )
    .option('--endpoint <url>', 'an image service that asks for no token')
    .option('--local', 'the embedded service, whatever OS_… variables say')
}

/** The way to a service: where it is, and by what token. */
export type ServiceAccess = ClientOptions & AsyncDisposable

/**
 * A client of the image service that is meant: of a cloud, if `--os-cloud` or the environment (`OS_CLOUD`,
 * `OS_AUTH_URL`) names one, as OpenStack's own clients read them; else of the embedded one, which
 * runs in this process for as long as the client is open.
 */
export async function openImageService(flags: ServiceFlags, cli: Cli): Promise<ImageClient> {
  const { openImageClient } = await import('../api/client.ts')
  if (flags.endpoint !== undefined)
    return openImageClient({ endpoint: flags.endpoint }, cli.context)
  await using opened = new AsyncDisposableStack()
  const access = opened.use(await openAccess(flags, cli))
  const client = opened.use(openImageClient(access, cli.context))
  const closing = opened.move()
  return { ...client, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}

async function openAccess(flags: ServiceFlags, cli: Cli): Promise<ServiceAccess> {
  const environment = flags.local ? {} : openstackFromEnvironment()
  const names = ['OS_CLOUD', 'OS_AUTH_URL', 'OS_ENDPOINT'] as const
  if (flags.osCloud === undefined && names.every((name) => environment[name] === undefined))
    return await openEmbedded(cli, 'none')
  const { openCloudAccess } = await import('./_cloud-client.ts')
  return await openCloudAccess(flags.osCloud, environment, cli)
}

/** The embedded service in this process, to be spoken to over a socket file of its own. */
export async function openEmbedded(cli: Cli, factory: FactoryUse = 'work'): Promise<ServiceAccess> {
  const [{ openService }, { createServer }] = await Promise.all([
    import('../app/open-service.ts'),
    import('../http/server.ts'),
  ])
  await using opened = new AsyncDisposableStack()
  const { config } = cli.configuration
  // Ctrl-C ends what the client asks for; the service lives until that is put in order.
  const context = { ...cli.context, signal: new AbortController().signal, progress: () => {} }
  // Whoever runs the command owns the directory: no token says more than that.
  const host = await readFactoryHost(cli)
  const service = opened.use(
    await openService(withoutAuth(config), context, { role: 'command', host, factory }),
  )
  const directory = await mkdtemp(join(config.temp_dir, 'ingot-'))
  opened.defer(async () => await rm(directory, { recursive: true, force: true }))
  const socketPath = join(directory, 'socket')
  const server = createServer(service)
  opened.defer(async () => await server.close())
  await server.listen({ path: socketPath })
  const closing = opened.move()
  return {
    endpoint: 'http://localhost',
    socketPath,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

function withoutAuth(config: Config): Config {
  return { ...config, auth: { mode: 'none' }, factory: { ...config.factory, oauth_clients: {} } }
}
