/** What `provision` and `validate` share: which hosts, how they are reached, and how it went. */
import { type Command, Option } from 'commander'
import { Failure } from '../base/failure.ts'
import { parseDuration } from '../base/units.ts'
import type { Recipe } from '../recipes/recipe.ts'
import type { Report } from '../recipes/report.ts'
import type { Host } from '../recipes/run-on-hosts.ts'
import type { Mode } from '../recipes/validator.ts'
import { exitCodeOf, formatReport } from './_report.ts'
import type { Cli } from './cli.ts'

export interface HostFlags {
  ssh?: string[]
  local?: boolean
  become?: boolean
  jobs?: string
  identity?: string
  sshConfig?: string
  sshOption?: string[]
  stepTimeout?: string
  report?: string
}

const HEADING = 'Hosts:'

export function addHostOptions(command: Command): void {
  const add = (flags: string, help: string) =>
    command.addOption(new Option(flags, help).helpGroup(HEADING))
  const addList = (flags: string, help: string) =>
    command.addOption(new Option(flags, help).argParser(collect).helpGroup(HEADING))
  addList('--ssh <[user@]host[:port]>', 'a running host, over SSH; may be repeated')
  add('--local', 'this host')
  add('--become', 'become root there by sudo')
  add('--jobs <count>', 'hosts that are worked on at the same time (see `ingot config show`)')
  add('--identity <file>', 'the private key to log in with')
  add('--ssh-config <file>', 'an ssh configuration instead of yours')
  addList('--ssh-option <keyword=value>', 'as in ssh_config(5); may be repeated')
}

/** Whether a host was named, in whatever way. */
export function namesHosts(flags: HostFlags): boolean {
  return flags.ssh !== undefined || flags.local === true
}

/**
 * Runs the recipe on the hosts that were named, prints the report of each as soon as it is done,
 * and a line that sums up when there are several.
 */
export async function runHosts(
  recipe: Recipe,
  values: ReadonlyMap<string, string>,
  flags: HostFlags,
  mode: Mode,
  cli: Cli,
): Promise<void> {
  const { config } = cli.configuration
  const { runOnHosts } = await import('../recipes/run-on-hosts.ts')
  const hosts = await toHosts(flags)
  const reports = await runOnHosts(
    recipe,
    hosts,
    {
      mode,
      values,
      jobs: flags.jobs === undefined ? config.jobs : parseJobs(flags.jobs),
      commandTimeoutMs:
        flags.stepTimeout === undefined
          ? config.command_timeout_s * 1000
          : parseDuration(flags.stepTimeout),
      cacheDir: config.cache_dir,
      onReport: (report) =>
        cli.print(cli.json ? JSON.stringify(report) : formatReport(report, cli.terminal)),
    },
    cli.context,
  )
  if (flags.report !== undefined) {
    const { writeReports } = await import('../recipes/write-report.ts')
    await writeReports(flags.report, reports)
  }
  if (reports.length > 1 && !cli.json) cli.print(summarize(reports))
  cli.exit(exitCodeOf(reports))
}

/** Fails with USAGE, NEEDS_ROOT. */
async function toHosts(flags: HostFlags): Promise<Host[]> {
  const { openSsh, parseDestination } = await import('../remotes/ssh.ts')
  const destinations = flags.ssh ?? []
  const twice = destinations.find((text, index) => destinations.indexOf(text) !== index)
  if (twice !== undefined) throw new Failure('USAGE', `the host ${twice} is named twice`)
  const hosts = destinations.map((text): Host => {
    const options = {
      destination: parseDestination(text).text,
      become: flags.become,
      identityFile: flags.identity,
      configFile: flags.sshConfig,
      extra: flags.sshOption,
    }
    return { name: text, via: 'ssh', open: (context) => openSsh(options, context) }
  })
  return flags.local ? [...hosts, await toLocalHost()] : hosts
}

async function toLocalHost(): Promise<Host> {
  if (process.geteuid?.() !== 0)
    throw new Failure('NEEDS_ROOT', 'this host is worked on as root', {
      fix: 'Run it as root, or say --ssh localhost --become.',
    })
  const { openLocal } = await import('../remotes/local.ts')
  return { name: 'this host', via: 'local', open: async (context) => openLocal(context) }
}

function parseJobs(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= 1000) return count
  throw new Failure('USAGE', `--jobs ${text}: wanted a number from 1 to 1000`)
}

/** `3 hosts: 2 as the recipe says, 1 not: root@web-03`. */
function summarize(reports: readonly Report[]): string {
  const bad = reports.filter(({ ok }) => !ok).map(({ target }) => target.name)
  const good = `${reports.length} hosts: ${reports.length - bad.length} as the recipe says`
  return bad.length === 0 ? good : `${good}, ${bad.length} not: ${bad.join(', ')}`
}

function collect(value: string, earlier: string[] | undefined): string[] {
  return [...(earlier ?? []), value]
}
