import { setTimeout as wait } from 'node:timers/promises'
import { Failure } from '../../base/failure.ts'
import { readFactoryHost } from '../_factory-host.ts'
import { parseListen } from '../_listen.ts'
import { untilInterrupted } from '../_until-interrupted.ts'
import type { CommandModule } from '../cli.ts'

interface ServeFlags {
  listen?: string
  dataDir?: string
}

const HELP = `
With nothing configured it is whole: records in SQLite, data in files, no token asked for, for this machine only.
  ingot serve &
  openstack --os-auth-type none --os-endpoint http://127.0.0.1:9292 image list
  curl -O 'http://127.0.0.1:9292/v2/images/ID/file?disk_format=vmdk'
The configuration file (see \`ingot config show\`) names stores, a PostgreSQL, Keystone, quotas, and more;
docs/operating.md says how. Ctrl-C, or SIGTERM: what is under way is finished, for half a minute at most.`

/** How long requests that are under way may take when the server is told to end. */
const DRAIN_MS = 30_000

/** `ingot serve`: the image service. */
export const define: CommandModule['define'] = (command, _argv, openCli) => {
  command
    .usage('[--listen ADDRESS:PORT] [--data-dir DIR] [--config FILE]')
    .option('--listen <address:port>', 'where; port 0 takes any free one (default 127.0.0.1:9292)')
    .option('--data-dir <directory>', 'where the catalog, and the data of the file store, stand')
    .addHelpText('after', HELP)
    .action(async ({ listen, dataDir }: ServeFlags) => {
      const cli = openCli(command, { listen, data_dir: dataDir })
      const { config } = cli.configuration
      const address = addressOf(config)
      const [{ openService }, { createServer }, { openServerLog }] = await Promise.all([
        import('../../app/open-service.ts'),
        import('../../http/server.ts'),
        import('../_server-log.ts'),
      ])
      const log = openServerLog(config.log_level)
      // Ctrl-C ends the taking of requests; only when they had their time are they stopped.
      const stopped = new AbortController()
      const context = { ...cli.context, log, signal: stopped.signal, progress: () => {} }
      const host = await readFactoryHost(cli)
      await using service = await openService(config, context, { role: 'server', host })
      const server = createServer(service)
      const url = await server.listen(address).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EADDRINUSE' && error.code !== 'EACCES') throw error
        throw new Failure('ADDRESS_IN_USE', `cannot listen on ${config.listen}: ${error.message}`)
      })
      log.info('server.listening', { url, dataDir: config.data_dir })
      cli.print(cli.json ? JSON.stringify({ url }) : url)
      await untilInterrupted(cli.context.signal)
      log.info('server.draining')
      const closed = server.close()
      const patience = new AbortController()
      await Promise.race([
        closed,
        wait(DRAIN_MS, undefined, { signal: patience.signal }).catch(() => {}),
      ])
      patience.abort()
      stopped.abort()
      server.server.closeAllConnections()
      await closed
      log.info('server.ended')
    })
}

/** Fails with USAGE when strangers could reach a service that asks nobody who they are. */
function addressOf({
  listen,
  auth,
  allow_remote_without_auth: allowed,
}: {
  readonly listen: string
  readonly auth: { readonly mode: string }
  readonly allow_remote_without_auth: boolean
}): { host: string; port: number } {
  try {
    return parseListen(listen, auth.mode !== 'none' || allowed)
  } catch (error) {
    const reachable = parseListen(listen, true)
    throw new Failure(
      'USAGE',
      `--listen ${listen}: anybody who reaches ${reachable.host} could read, change and delete every image, for auth.mode is none`,
      {
        fix: 'Set auth.mode to token or keystone, or allow_remote_without_auth to true if that is what you want.',
        cause: error,
      },
    )
  }
}
