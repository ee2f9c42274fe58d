/**
 * This host's apt-get, made to work for a guest: in a directory of its own, with the guest's mirrors,
 * keys and records, and nothing of the guest's or this host's configuration that could run a program.
 */
import { hash } from 'node:crypto'
import { mkdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname, extname, join, resolve } from 'node:path'
import type { Context } from '../base/context.ts'
import { removeLeftovers, workingPath } from '../base/leftovers.ts'
import { findProgram, runProcess } from '../base/process.ts'
import { hostUplink, type OpenUplink } from '../remotes/uplink.ts'
import { readAptOptions } from './apt-options.ts'
import { hasMirrorTrouble } from './_apt-complaints.ts'
import { type AptSource, formatSources } from './apt-sources.ts'
import { fingerprintOf, type GuestApt } from './_guest-apt.ts'

/** Programs without which this host fetches nothing. */
const PROGRAMS = ['apt-get', 'gpgv', 'flock'] as const

export function hostCanFetch(): boolean {
  return PROGRAMS.every((program) => findProgram(program) !== undefined)
}

export interface HostAptOptions {
  /** Ingot's cache directory. */
  cacheDir: string
  timeoutMs: number
  /** How it gets to the guest's mirrors; left out: as this host. */
  uplink?: OpenUplink | undefined
  onOutput: (text: string) => void
  context: Context
}

export interface AptResult {
  code: number
  stdout: string
  stderr: string
}

export interface HostApt extends AsyncDisposable {
  /** Where packages are kept that were downloaded, by the names apt gives them. */
  readonly archives: string
  /** How old the lists of packages are; infinite if there are none. */
  listsAgeMs(): Promise<number>
  /** Brings the lists up to date. */
  update(): Promise<AptResult>
  run(...words: string[]): Promise<AptResult>
}

/** Lays out the directory. What is downloaded stays in it, for guests that trust the same. */
export async function openHostApt(apt: GuestApt, options: HostAptOptions): Promise<HostApt> {
  const { cacheDir, context } = options
  const home = join(resolve(cacheDir), 'apt', fingerprintOf(apt))
  await mkdir(join(home, 'lists', 'partial'), { recursive: true })
  await mkdir(join(home, 'archives', 'partial'), { recursive: true })
  await removeLeftovers(join(home, 'run'))
  const own = workingPath(join(home, 'run'), context.newId())
  await mkdir(join(own, 'trusted.gpg.d'), { recursive: true, mode: 0o755 })
  await layFiles(own, apt)
  const configuration = join(own, 'apt.conf')
  const settings = [...(await readAptOptions()), ...(await sandboxOf(own))]
  await writeFile(configuration, configurationOf(home, own, apt, settings))
  const updated = join(home, 'updated')
  const uplink = await (options.uplink ?? hostUplink)([], context)

  const run = async (...words: string[]): Promise<AptResult> => {
    const apt = ['flock', join(home, 'lock'), 'apt-get', '-q', '-y', ...words]
    const argv = [...uplink.launcher, ...apt]
    const result = await runProcess(argv, {
      env: { ...ENVIRONMENT, APT_CONFIG: configuration },
      timeoutMs: options.timeoutMs,
      signal: context.signal,
      onOutput: options.onOutput,
    })
    return { ...result, stdout: result.stdout.toString(), stderr: result.stderr.toString() }
  }

  return {
    archives: join(home, 'archives'),
    listsAgeMs: async () => {
      const made = await stat(updated).catch(() => undefined)
      return made === undefined ? Infinity : context.now().getTime() - made.mtimeMs
    },
    update: async () => {
      const result = await run('update')
      if (result.code === 0 && !hasMirrorTrouble(result)) {
        await writeFile(updated, '')
        await utimes(updated, context.now(), context.now())
      }
      return result
    },
    run,
    [Symbol.asyncDispose]: async () => {
      await uplink[Symbol.asyncDispose]()
      await rm(own, { recursive: true, force: true })
    },
  }
}

const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C.UTF-8',
  DEBIAN_FRONTEND: 'noninteractive',
}

async function layFiles(own: string, apt: GuestApt): Promise<void> {
  await writeFile(join(own, 'status'), apt.status)
  await writeFile(join(own, 'extended_states'), apt.extendedStates)
  await writeFile(join(own, 'preferences'), apt.preferences)
  for (const [name, key] of apt.trustedKeys) await writeFile(join(own, 'trusted.gpg.d', name), key)
  const stanzas: string[] = []
  for (const source of apt.sources) stanzas.push(await layKeys(own, source, apt))
  await writeFile(join(own, 'guest.sources'), stanzas.join('\n'))
}

/** A source with the guest's key rings put beside it; what names no file stays as it is. */
async function layKeys(own: string, source: AptSource, apt: GuestApt): Promise<string> {
  const { signedBy } = source
  if (signedBy === undefined) return formatSources([source], undefined)
  const isKey = signedBy.includes('\n')
  const paths = isKey ? [signedBy] : signedBy.split(',')
  const placed: string[] = []
  for (const path of paths) {
    const content = isKey ? Buffer.from(path) : apt.keys.get(path)
    if (!isKey && !path.startsWith('/')) placed.push(path) // a fingerprint
    if (content === undefined) continue
    const name = hash('sha256', path).slice(0, 16)
    const file = join(own, `${name}${isKey || extname(path) === '.asc' ? '.asc' : '.gpg'}`)
    await writeFile(file, content)
    placed.push(file)
  }
  // Without any key of its own the source must not fall back to keys that are for others.
  return formatSources([source], placed.length > 0 ? placed.join(',') : join(own, 'missing.gpg'))
}

/** apt gives root up for all that meets the network, unless its user cannot come to `directory`. */
async function sandboxOf(directory: string): Promise<string[]> {
  for (let at = directory; at !== dirname(at); at = dirname(at))
    if (((await stat(at)).mode & 0o005) !== 0o005) return ['APT::Sandbox::User "root"']
  return []
}

/** Source: apt.conf(5). Read before anything else, so that neither main file nor parts are read. */
function configurationOf(
  home: string,
  own: string,
  apt: GuestApt,
  settings: readonly string[],
): string {
  const [native = ''] = apt.architectures
  const values: readonly (readonly [string, string])[] = [
    ['Dir::Etc::main', '/dev/null'],
    ['Dir::Etc::parts', '/dev/null'],
    ['Dir::Etc::netrc', '/dev/null'],
    ['Dir::Etc::netrcparts', '/dev/null'],
    ['Dir::Etc::sourcelist', join(own, 'guest.sources')],
    ['Dir::Etc::sourceparts', '/dev/null'],
    ['Dir::Etc::trusted', '/dev/null'],
    ['Dir::Etc::trustedparts', join(own, 'trusted.gpg.d')],
    ['Dir::Etc::preferences', join(own, 'preferences')],
    ['Dir::Etc::preferencesparts', '/dev/null'],
    ['Dir::State', own],
    ['Dir::State::status', join(own, 'status')],
    ['Dir::State::extended_states', join(own, 'extended_states')],
    ['Dir::State::lists', join(home, 'lists')],
    ['Dir::Cache', home],
    ['Dir::Cache::archives', join(home, 'archives')],
    ['Dir::Cache::pkgcache', ''],
    ['Dir::Cache::srcpkgcache', join(home, 'srcpkgcache.bin')],
    ['Dir::Log', own],
    ['APT::Architecture', native],
    ['Acquire::Languages', 'none'],
    ['Acquire::PDiffs', 'false'],
  ]
  return [
    ...values.map(([name, value]) => `${name} "${value}";`),
    ...apt.architectures.map((name) => `APT::Architectures:: "${name}";`),
    ...settings.map((setting) => `${setting};`),
    '',
  ].join('\n')
}
