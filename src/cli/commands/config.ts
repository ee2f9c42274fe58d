import type { CommandModule } from '../cli.ts'
import { configSchema } from '../../app/config.ts'
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
      if (cli.json) {
        cli.print(
          JSON.stringify(
            Object.fromEntries(
              Object.entries(config).map(([key, value]) => [
                key,
                { value, source: sources[key as keyof typeof sources] },
              ]),
            ),
          ),
        )
        return
      }
      const rows = Object.entries(configSchema.properties).map(([key, schema]) => {
        const name = key as keyof typeof config
        return [
          key,
          String(config[name]),
          sources[name],
          String(Reflect.get(schema, 'description') ?? ''),
        ]
      })
      cli.print(formatTable(['setting', 'value', 'from', 'meaning'], rows))
    })
}
