/** The part of a guest's apt that says where packages come from, read from its files: data only. */
import { hash } from 'node:crypto'
import { posix } from 'node:path'
import { KiB, MiB } from '../base/units.ts'
import type { Remote } from '../remotes/remote.ts'
import { type AptSource, parseSourcesDeb822, parseSourcesList } from './apt-sources.ts'
import { parseControl } from './control-file.ts'

export interface GuestApt {
  /** Those this host can reach: http and https. */
  sources: readonly AptSource[]
  /** Whether there were others. */
  hasOthers: boolean
  /** Key rings by name, for sources that name none of their own: as in trusted.gpg.d. */
  trustedKeys: ReadonlyMap<string, Uint8Array>
  /** Key rings by the path that sources give. */
  keys: ReadonlyMap<string, Uint8Array>
  preferences: string
  /** dpkg's and apt's records of what is installed, and what for. */
  status: Uint8Array
  extendedStates: Uint8Array
  /** The native one first: `amd64`. */
  architectures: readonly string[]
}

const ETC = '/etc/apt'
const STATUS = '/var/lib/dpkg/status'
export const EXTENDED_STATES = '/var/lib/apt/extended_states'
const MAX_FILES = 500
const MAX_TEXT = MiB
const MAX_STATUS = 64 * MiB
/** Names that apt reads in its directories. Source: apt_preferences(5), sources.list(5). */
const PART = /^[A-Za-z0-9_.-]+$/

/** Undefined when the guest has no record of packages, or its architecture cannot be told. */
export async function readGuestApt(remote: Remote): Promise<GuestApt | undefined> {
  const status = await remote.readFile(STATUS, MAX_STATUS)
  if (status === undefined) return undefined
  const architectures = await readArchitectures(remote, Buffer.from(status).toString())
  if (architectures.length === 0) return undefined
  const all = await readSources(remote)
  const sources = all.filter(({ uris }) => uris.every((uri) => /^https?:\/\//i.test(uri)))
  const keys = await readKeys(remote, sources)
  return {
    sources,
    hasOthers: sources.length < all.length,
    trustedKeys: await readTrustedKeys(remote),
    keys,
    preferences: await readPreferences(remote),
    status,
    extendedStates: (await remote.readFile(EXTENDED_STATES, MAX_STATUS)) ?? new Uint8Array(),
    architectures,
  }
}

/** A name for all guests that trust the same mirrors by the same keys, and for no other. */
export function fingerprintOf({ sources, architectures, trustedKeys, keys }: GuestApt): string {
  const files = [trustedKeys, keys].map((map) =>
    [...map].map(([name, content]) => [name, hash('sha256', content)]),
  )
  return hash('sha256', JSON.stringify([sources, architectures, files])).slice(0, 32)
}

/** The native architecture is dpkg's own; `/var/lib/dpkg/arch` lists the others. */
async function readArchitectures(remote: Remote, status: string): Promise<string[]> {
  const stanza = /(?:^|\n)Package: dpkg\n(?:\S.*\n| .*\n)*/.exec(status)?.[0] ?? ''
  const native = parseControl(stanza)[0]?.get('architecture')
  if (native === undefined) return []
  const foreign = ((await remote.readText('/var/lib/dpkg/arch', MAX_TEXT)) ?? '').split(/\s+/)
  return [...new Set([native, ...foreign])].filter((name) => /^[a-z0-9-]+$/.test(name))
}

async function readSources(remote: Remote): Promise<AptSource[]> {
  const sources = parseSourcesList((await remote.readText(`${ETC}/sources.list`, MAX_TEXT)) ?? '')
  for (const path of await parts(remote, `${ETC}/sources.list.d`, /\.(list|sources)$/)) {
    const text = (await remote.readText(path, MAX_TEXT)) ?? ''
    const parse = path.endsWith('.list') ? parseSourcesList : parseSourcesDeb822
    sources.push(...parse(text))
  }
  return sources
}

async function readKeys(
  remote: Remote,
  sources: readonly AptSource[],
): Promise<Map<string, Uint8Array>> {
  const keys = new Map<string, Uint8Array>()
  for (const { signedBy = '' } of sources)
    for (const path of signedBy.split(','))
      if (path.startsWith('/') && !keys.has(path)) {
        const key = await remote.readFile(posix.normalize(path), MAX_TEXT)
        if (key) keys.set(path, key)
      }
  return keys
}

async function readTrustedKeys(remote: Remote): Promise<Map<string, Uint8Array>> {
  const keys = new Map<string, Uint8Array>()
  const directory = `${ETC}/trusted.gpg.d`
  for (const path of [`${ETC}/trusted.gpg`, ...(await parts(remote, directory, /\.(gpg|asc)$/))]) {
    const key = await remote.readFile(path, MAX_TEXT)
    if (key) keys.set(posix.basename(path), key)
  }
  return keys
}

async function readPreferences(remote: Remote): Promise<string> {
  const paths = await parts(remote, `${ETC}/preferences.d`, /(^|\/)[^.]+(\.pref)?$/)
  const texts: string[] = []
  for (const path of [`${ETC}/preferences`, ...paths])
    texts.push((await remote.readText(path, 64 * KiB)) ?? '')
  return texts.filter((text) => text.trim() !== '').join('\n\n')
}

async function parts(remote: Remote, directory: string, pattern: RegExp): Promise<string[]> {
  const names = (await remote.list(directory)) ?? []
  return names
    .filter((name) => PART.test(name) && pattern.test(name))
    .slice(0, MAX_FILES)
    .map((name) => posix.join(directory, name))
}
