/**
 * Packages fetched by this host for a guest that is better left alone with the network, or in which
 * apt is slow because everything is emulated. This host's apt resolves and downloads by the guest's
 * own mirrors, keys and records; the guest's dpkg then installs files, without any network.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '../base/failure.ts'
import { sendFile } from '../remotes/send-file.ts'
import type { Remote } from '../remotes/remote.ts'
import { EXTENDED_STATES, readGuestApt } from './_guest-apt.ts'
import { type AptResult, type HostApt, hostCanFetch, openHostApt } from './_host-apt.ts'
import { isNotFound, toAptFailure } from './_apt-complaints.ts'
import { parseControl } from './control-file.ts'
import type { InstallOptions, PackageSpec } from './package-manager.ts'

/** What dpkg is to do, in this order. */
export interface InstallStep {
  action: 'unpack' | 'configure' | 'remove'
  packages: readonly string[]
}

export interface FetchedPackages {
  /** Files of this host, in the order in which they are unpacked. */
  files: readonly { name: string; path: string; size: number }[]
  steps: readonly InstallStep[]
  /** Those that come only because others need them. */
  automatic: readonly { name: string; architecture: string }[]
}

export interface FetchOptions extends InstallOptions {
  /** Lists of packages that are older are brought up to date first. Default one hour. */
  maxListsAgeMs?: number
}

const HOUR_MS = 3_600_000
const ARCHIVES = '/var/cache/apt/archives'

/** Whether fetching is the better way for this guest, and this host can do it. */
export async function canFetchPackages(remote: Remote): Promise<boolean> {
  return remote.via === 'appliance' && (await remote.facts()).family === 'debian' && hostCanFetch()
}

/**
 * Resolves and downloads packages for a guest of the Debian family; nothing of the guest is changed
 * and none of its programs runs. Undefined when only the guest itself can know: it has mirrors that
 * this host cannot reach (`file:`, `cdrom:`), or no record of packages.
 * Fails with STEP_FAILED (no such package or version), DOWNLOAD_FAILED, COMMAND_TIMEOUT.
 */
export async function fetchPackages(
  remote: Remote,
  specs: readonly PackageSpec[],
  options: FetchOptions,
): Promise<FetchedPackages | undefined> {
  const guest = await readGuestApt(remote)
  if (guest === undefined || guest.sources.length === 0) return undefined
  await using host = await openHostApt(guest, { ...options, uplink: remote.uplink })
  const words = specs.map(({ name, version }) => (version ? `${name}=${version}` : name))
  const pinned = specs.some(({ version }) => version !== undefined)
  const install = ['install', ...(pinned ? ['--allow-downgrades'] : [])]

  const stale = (await host.listsAgeMs()) > (options.maxListsAgeMs ?? HOUR_MS)
  let refreshed = stale ? await update(remote, host) : undefined
  let plan = await host.run(...install, '--simulate', '--', ...words)
  if (refreshed === undefined && isNotFound(plan)) {
    refreshed = await update(remote, host)
    plan = await host.run(...install, '--simulate', '--', ...words)
  }
  if (guest.hasOthers && isNotFound(plan)) return undefined
  if (plan.code !== 0) throw toAptFailure(remote, 'apt-get install', plan, refreshed)
  const download = await host.run(...install, '--download-only', '--', ...words)
  if (download.code !== 0) throw toAptFailure(remote, 'apt-get install', download)
  return await gather(parsePlan(plan.stdout), specs, host.archives)
}

async function update(remote: Remote, host: HostApt): Promise<AptResult> {
  const result = await host.update()
  if (result.code !== 0) throw toAptFailure(remote, 'apt-get update', result)
  return result
}

/** One line of what apt would do. */
interface Planned {
  what: 'Inst' | 'Conf' | 'Remv'
  name: string
  isNew: boolean
  version: string
  architecture: string
}

/**
 * What `apt-get --simulate` says it would do, in its order:
 * `Inst jq [1.5] (1.6-2.1 Debian:12.9/stable [amd64]) []`, `Conf jq (…)`, `Remv vim [2:9.0]`.
 */
export function parsePlan(text: string): Planned[] {
  return text.split('\n').flatMap((line) => {
    const match =
      /^(Inst|Conf|Remv) ([a-z0-9][a-z0-9+.:-]*)(?: \[([^\]\s]+)\])?(?: \(([A-Za-z0-9.+~:-]+) [^)]*\[([a-z0-9-]+)\]\))?/.exec(
        line,
      )
    if (match === null) return []
    const [, what, name = '', old, version = '', architecture = ''] = match
    if (what !== 'Remv' && version === '') return []
    return [
      { what: what as Planned['what'], name, isNew: old === undefined, version, architecture },
    ]
  })
}

async function gather(
  plan: readonly Planned[],
  specs: readonly PackageSpec[],
  archives: string,
): Promise<FetchedPackages> {
  const installed = plan.filter(({ what }) => what === 'Inst')
  const files = installed.map(async (one) => {
    const name = archiveNameOf(one)
    const path = join(archives, name)
    const found = await stat(path).catch(() => undefined)
    if (found === undefined)
      throw new Failure('DOWNLOAD_FAILED', `apt downloaded ${one.name}, but there is no ${name}`)
    return { name, path, size: found.size }
  })
  const wanted = new Set(specs.map(({ name }) => name))
  // Where a name stands for another package, which of them was asked for cannot be told.
  const allFound = specs.every(({ name }) => installed.some((one) => one.name === name))
  const automatic = allFound ? installed.filter((one) => one.isNew && !wanted.has(one.name)) : []
  return { files: await Promise.all(files), steps: stepsOf(plan), automatic }
}

/** As apt names files it downloads: `jq_1%3a1.6_amd64.deb`. Source: apt's QuoteString. */
function archiveNameOf({ name, version, architecture }: Planned): string {
  const [own = ''] = name.split(':')
  return `${own}_${version.replaceAll(':', '%3a')}_${architecture}.deb`
}

const ACTIONS = { Inst: 'unpack', Conf: 'configure', Remv: 'remove' } as const

/** Neighbours that are treated alike go to dpkg together. */
function stepsOf(plan: readonly Planned[]): InstallStep[] {
  const steps: { action: InstallStep['action']; packages: string[] }[] = []
  for (const { what, name } of plan) {
    const last = steps.at(-1)
    if (last?.action === ACTIONS[what]) last.packages.push(name)
    else steps.push({ action: ACTIONS[what], packages: [name] })
  }
  return steps
}

/**
 * Puts fetched packages into the guest and has its dpkg install them.
 * Fails with NO_SPACE, COMMAND_FAILED, COMMAND_TIMEOUT.
 */
export async function installFetched(
  remote: Remote,
  { files, steps, automatic }: FetchedPackages,
  options: InstallOptions,
): Promise<void> {
  try {
    for (const { name, path } of files)
      await sendFile(remote, path, `${ARCHIVES}/${name}`, {}, options.context)
    const result = await remote.run({
      argv: ['sh', '-c', toScript(files, steps)],
      env: { DEBIAN_FRONTEND: 'noninteractive', SYSTEMD_OFFLINE: '1' },
      timeoutMs: options.timeoutMs,
      onOutput: options.onOutput,
    })
    if (result.code !== 0) throw toAptFailure(remote, 'dpkg', result)
  } finally {
    for (const { name } of files) await remote.remove(`${ARCHIVES}/${name}`).catch(() => {})
  }
  if (automatic.length > 0) await markAutomatic(remote, automatic)
}

/** Names come from apt on this host, in a form that a shell takes for words. */
function toScript(files: FetchedPackages['files'], steps: readonly InstallStep[]): string {
  const dpkg = 'dpkg --force-confdef --force-confold --force-unsafe-io'
  const [first, second, ...rest] = steps
  const paths = files.map(({ name }) => `'${ARCHIVES}/${name}'`)
  // Nearly always: everything unpacked, then everything configured. dpkg does that in one go.
  if (first?.action === 'unpack' && second?.action === 'configure' && rest.length === 0)
    return `${dpkg} --install ${paths.join(' ')}`
  const lines = steps.map(({ action, packages }) => {
    if (action === 'unpack') return `${dpkg} --unpack ${paths.splice(0, packages.length).join(' ')}`
    const force = action === 'remove' ? ' --force-depends' : ''
    return `${dpkg}${force} --${action} ${packages.join(' ')}`
  })
  return ['set -e', ...lines, `${dpkg} --configure --pending`].join('\n')
}

/** As apt does, so that a later `apt autoremove` knows. Source: apt's extended_states. */
async function markAutomatic(
  remote: Remote,
  packages: FetchedPackages['automatic'],
): Promise<void> {
  const known = (await remote.readText(EXTENDED_STATES)) ?? ''
  const names = new Set(packages.map(({ name }) => name))
  const others = known.split(/\n{2,}/).filter((stanza) => {
    const name = parseControl(stanza)[0]?.get('package')
    return name !== undefined && !names.has(name)
  })
  const marks = packages.map(
    ({ name, architecture }) =>
      `Package: ${name.split(':')[0]}\nArchitecture: ${architecture}\nAuto-Installed: 1`,
  )
  const text = [...others.map((stanza) => stanza.trim()), ...marks].join('\n\n')
  await remote.writeFile(EXTENDED_STATES, `${text}\n\n`)
}
