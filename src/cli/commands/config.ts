import type { CommandModule } from '../cli.ts'
import { type Config, SETTINGS } from '../../app/config.ts'
import { formatTable } from '../_table.ts'

/** `ingot config show`: every setting, its value in force, and where that came from. */
export const define: CommandModule['define'] = (command, _argv, openCli) => {
  command
    .command('show')
    .description('every setting, its value, where it came from, and what it means')
    .exitOverride()
    .action(() => {
      const cli = openCli(command)
      const { config, sources } = cli.configuration
      const settings = SETTINGS.map(({ path, secret, description }) => {
        const name = path.join('.')
        const value = valueAt(config, path)
        const shown = secret && value !== undefined ? '***' : withoutSecrets(value)
        return { name, value: shown, source: sources.get(name) ?? 'default', description }
      })
      if (cli.json)
        return cli.print(
          JSON.stringify(
            Object.fromEntries(
              settings.map(({ name, value = null, source }) => [name, { value, source }]),
            ),
          ),
        )
      const rows = settings.map(({ name, value, source, description }) => [
        name,
        value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value),
        source,
        description,
      ])
      cli.print(formatTable(['setting', 'value', 'from', 'meaning'], rows))
    })
}

function valueAt(config: Config, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string, unknown>)?.[key], config)
}

/** Options of stores hold keys and passwords under names of their drivers' choosing. */
function withoutSecrets(value: unknown): unknown {
  return (
    JSON.parse(
      JSON.stringify(value ?? null, (key, inner: unknown) =>
        /secret|password|token|access_key|^key$/i.test(key) && typeof inner === 'string'
          ? '***'
          : inner,
      ),
    ) ?? undefined
  )
}
