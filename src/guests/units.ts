/**
 * What systemd would start in a guest, read from its files: unit files and the links between them.
 * Source: systemd.unit(5), systemctl(1) `is-enabled`; sysv services by their rc links.
 */
import { posix } from 'node:path'
import type { Remote } from '../remotes/remote.ts'

const CONFIG = '/etc/systemd/system'
/** The earlier wins. */
const DIRECTORIES = [
  CONFIG,
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
]
const SUFFIXES = /\.(service|socket|timer|path|mount|automount|swap|target|slice)$/

/**
 * - `static`: other units need it, or it is started by hand; it can be neither enabled nor disabled.
 * - `missing`: there is no such unit.
 */
export type UnitState = 'enabled' | 'disabled' | 'masked' | 'static' | 'missing'

/** `nginx` as `nginx.service`; a name with a suffix as it is. */
export function toUnitName(name: string): string {
  return SUFFIXES.test(name) ? name : `${name}.service`
}

/** Source: systemd.unit(5), "String Escaping"; no `/`, and nothing that looks like an option. */
export function refuseUnitName(name: string): string | undefined {
  if (/^[A-Za-z0-9_:][A-Za-z0-9_:.@\\-]{0,254}$/.test(name)) return undefined
  return `'${name}' cannot be the name of a unit`
}

/** Values in the `[Install]` section by key; an empty value takes back those before it. */
export function parseInstall(text: string): Map<string, string[]> {
  const install = new Map<string, string[]>()
  let section = ''
  for (const line of text.replaceAll(/\\\n/g, ' ').split('\n')) {
    const header = /^\s*\[(.+)\]\s*$/.exec(line)
    if (header) section = header[1] ?? ''
    const pair = /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(line)
    if (!pair?.[1] || section !== 'Install') continue
    const words = (pair[2] ?? '').split(/\s+/).filter((word) => word !== '')
    install.set(pair[1], words.length === 0 ? [] : [...(install.get(pair[1]) ?? []), ...words])
  }
  return install
}

/** Whether a unit is started at boot. `name` has its suffix. */
export async function readUnitState(remote: Remote, name: string): Promise<UnitState> {
  const found = await findUnit(remote, name)
  if (found === 'masked') return 'masked'
  if (!found) return await readSysvState(remote, name)
  const names = [...new Set([name, found.name])]
  for (const one of names) if (await hasLink(remote, CONFIG, one)) return 'enabled'
  const install = parseInstall((await remote.readText(found.path)) ?? '')
  const aliases = install.get('Alias') ?? []
  for (const alias of aliases)
    if (await isLinkTo(remote, posix.join(CONFIG, alias), names)) return 'enabled'
  if (
    ['WantedBy', 'RequiredBy', 'UpheldBy', 'Alias', 'Also'].some((key) => install.get(key)?.length)
  )
    return 'disabled'
  for (const directory of DIRECTORIES.slice(1))
    for (const one of names) if (await hasLink(remote, directory, one)) return 'enabled'
  return 'static'
}

/** The unit's file, through aliases; of `foo@bar.service` it is `foo@.service`. */
async function findUnit(
  remote: Remote,
  name: string,
): Promise<{ path: string; name: string } | 'masked' | undefined> {
  const template = name.replace(/@[^@]+(\.\w+)$/, '@$1')
  for (const wanted of new Set([name, template]))
    for (const directory of DIRECTORIES) {
      const path = posix.join(directory, wanted)
      const stat = await remote.stat(path)
      if (!stat) continue
      if (stat.type === 'link') {
        if (stat.target === '/dev/null') return 'masked'
        if (!(await remote.exists(path))) continue
        return { path, name: wanted === name ? posix.basename(stat.target ?? name) : name }
      }
      if (stat.type === 'file') return stat.size === 0 ? 'masked' : { path, name }
    }
  return undefined
}

/** Whether a `.wants`, `.requires` or `.upholds` directory below has the unit. */
async function hasLink(remote: Remote, directory: string, unit: string): Promise<boolean> {
  for (const entry of (await remote.list(directory)) ?? [])
    if (/\.(wants|requires|upholds)$/.test(entry))
      if (await remote.stat(posix.join(directory, entry, unit))) return true
  return false
}

async function isLinkTo(remote: Remote, path: string, units: readonly string[]): Promise<boolean> {
  const stat = await remote.stat(path)
  return stat?.type === 'link' && units.includes(posix.basename(stat.target ?? ''))
}

async function readSysvState(remote: Remote, name: string): Promise<UnitState> {
  const script = name.replace(/\.service$/, '')
  if (!(await remote.exists(`/etc/init.d/${script}`))) return 'missing'
  for (const directory of ['/etc/rc3.d', '/etc/rc5.d', '/etc/rc.d/rc3.d', '/etc/rc.d/rc5.d'])
    if (
      (await remote.list(directory))?.some(
        (link) => /^S\d\d/.test(link) && link.slice(3) === script,
      )
    )
      return 'enabled'
  return 'disabled'
}
