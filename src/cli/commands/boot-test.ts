import { basename } from 'node:path'
import { Option } from 'commander'
import { proxiesFromEnvironment } from '../../app/config.ts'
import { guestUplink } from '../../app/guest-uplink.ts'
import { Failure } from '../../base/failure.ts'
import { EXIT } from '../../base/failures.ts'
import { parseDuration, parseSize } from '../../base/units.ts'
import type { GuestConnection } from '../../machines/boot-report.ts'
import type { Recipe } from '../../recipes/recipe.ts'
import type { Report } from '../../recipes/report.ts'
import { formatBootReport } from '../_boot-report.ts'
import { addRecipeOptions, readRecipeInput } from '../_recipe-options.ts'
import { exitCodeOf, formatReport } from '../_report.ts'
import type { Cli, CommandModule } from '../cli.ts'

interface BootTestFlags {
  recipe?: string
  format?: 'raw' | 'qcow2'
  firmware: 'bios' | 'uefi'
  accelerator?: 'auto' | 'kvm' | 'tcg'
  timeout?: string
  memory: string
  cpus: string
  network?: boolean
  screenshot?: string
}

const HELP = `
The image boots on a throw-away overlay, with a cloud-init seed that makes a user with a one-time
key; it is not changed, and nothing of the machine stays. The guest's disk is larger than the image,
to see whether its root grows. Without --network the guest reaches nobody.
Exit code 0: it boots (and is as the recipe says); 4: it does not.`

/** `ingot boot-test IMAGE`: boots it in a throw-away machine and sees whether it comes up. */
export const define: CommandModule['define'] = async (command, argv, openCli) => {
  command
    .usage('IMAGE [--recipe RECIPE] [options] [arguments of the recipe]')
    .argument('<image>', 'the image file; it is not changed')
    .option('--recipe <file>', 'a recipe that the running guest is checked against')
    .addOption(choice('--firmware <kind>', 'how it is started', ['bios', 'uefi']).default('bios'))
    .addOption(
      choice(
        '--accelerator <kind>',
        'kvm (the processor), tcg (emulated), or auto (kvm where a guest really ran by it)',
        ['auto', 'kvm', 'tcg'],
      ),
    )
    .addOption(
      choice('--format <format>', 'disk format; told from the content when left out', [
        'raw',
        'qcow2',
      ]),
    )
    .option('--timeout <time>', 'for the whole boot (default: 3m, or 15m if emulated)')
    .option('--memory <size>', 'memory of the guest', '1GiB')
    .option('--cpus <count>', 'processors of the guest', '2')
    .option('--network', 'let the guest reach the network (see guest_network)')
    .option(
      '--screenshot <file>',
      'where the screen goes, as a PNG, if it does not boot (default: IMAGE.boot.png here)',
    )
    .addHelpText('after', HELP)
  await addRecipeOptions(command, argv)
  command.action(async (image: string, flags: BootTestFlags) => {
    const cli = openCli(command)
    const { recipe, values } =
      flags.recipe === undefined
        ? { recipe: undefined, values: new Map<string, string>() }
        : await readRecipeInput(flags.recipe, command)
    const reports: Report[] = []
    const { runBootTest } = await import('../../machines/boot-test.ts')
    const { config } = cli.configuration
    const { temp_dir: tempDir, cache_dir: cacheDir, accelerator } = config
    const boot = await runBootTest(
      {
        image,
        format: flags.format,
        firmware: flags.firmware,
        accelerator: flags.accelerator ?? accelerator,
        timeoutMs: flags.timeout === undefined ? undefined : parseDuration(flags.timeout),
        memory: parseSize(flags.memory),
        cpus: parseCpus(flags.cpus),
        uplink: flags.network ? guestUplink(config, proxiesFromEnvironment()) : undefined,
        screenshot: flags.screenshot ?? `${basename(image)}.boot.png`,
        tempDir,
        cacheDir,
        onReady:
          recipe &&
          (async (guest) => void reports.push(await checkGuest(guest, recipe, values, cli))),
      },
      cli.context,
    )
    if (cli.json) cli.print(JSON.stringify({ boot, ...(recipe && { recipe: reports[0] ?? null }) }))
    else {
      cli.print(formatBootReport(boot, cli.terminal))
      for (const report of reports) cli.print(formatReport(report, cli.terminal))
    }
    const unchecked = boot.passed && recipe !== undefined && reports.length === 0
    if (unchecked) cli.say('The recipe was not checked: nobody could log in to the guest.')
    cli.exit(unchecked ? EXIT.failed : boot.passed ? exitCodeOf(reports) : EXIT.differs)
  })
}

/** Checks the running guest against the recipe, over SSH as any host. */
async function checkGuest(
  { host, port, user, keyFile, knownHosts, launcher }: GuestConnection,
  recipe: Recipe,
  values: ReadonlyMap<string, string>,
  cli: Cli,
): Promise<Report> {
  const [{ openSsh }, { openRemote }, { runRecipe }] = await Promise.all([
    import('../../remotes/ssh.ts'),
    import('../../remotes/open-remote.ts'),
    import('../../recipes/run-recipe.ts'),
  ])
  const driver = await openSsh(
    {
      destination: `${user}@${host}:${port}`,
      become: true,
      configFile: 'none',
      identityFile: keyFile,
      knownHostsFile: knownHosts,
      launcher,
    },
    cli.context,
  )
  await using remote = openRemote(driver, cli.context)
  const { command_timeout_s: seconds, cache_dir: cacheDir } = cli.configuration.config
  const options = { mode: 'test-only', values, commandTimeoutMs: seconds * 1000, cacheDir } as const
  return await runRecipe(recipe, remote, options, cli.context)
}

function choice(flag: string, help: string, choices: readonly string[]): Option {
  return new Option(flag, help).choices(choices)
}

/** Fails with USAGE. */
function parseCpus(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= 64) return count
  throw new Failure('USAGE', `--cpus ${text}: wanted a number from 1 to 64`)
}
